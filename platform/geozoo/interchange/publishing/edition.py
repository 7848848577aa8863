"""What its publishers say about a published zoo: title, version, licence, authors, DOI, web page, date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

from geozoo.errors import InputError
from geozoo.interchange.publishing.licences import Licence, find_licence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date as Date

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
_DOI = re.compile(r"10\.\d{4,9}/\S+")


@dataclass(frozen=True)
class Author:
    """A person, with family and given names, or an organisation, with neither."""

    name: str
    family: str | None = None
    given: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Family, Given`` as a person and a text without a comma as an organisation."""
        family, comma, given = (part.strip() for part in text.partition(","))
        if not family or (comma and not given) or "," in given or not text.isprintable():
            raise InputError(
                f"{text!r} is not an author: give 'Family, Given' for a person or a name without a comma for an "
                "organisation, and --author once for each."
            )
        return cls(f"{given} {family}", family, given) if comma else cls(family)


class Edition(BaseModel):
    """One version of a published zoo; ``date`` is its day, ISO 8601. Make it with :meth:`check`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    version: str
    license: str
    authors: tuple[str, ...]
    doi: str | None = None
    url: str | None = None
    date: str

    @classmethod
    def check(
        cls,
        *,
        title: str,
        version: str,
        license: str,
        authors: Sequence[str],
        doi: str | None,
        url: str | None,
        date: Date,
    ) -> Self:
        """Make an edition of what was asked for.

        Raises:
            InputError: the licence is unknown, an author, version, DOI or URL is malformed, or one is missing.
        """
        if not title.strip() or not title.isprintable():
            raise InputError(f"{title!r} is no title: give a line of text with --title.")
        if not authors:
            raise InputError("a published zoo needs an author: give --author 'Family, Given', once for each.")
        for author in authors:
            Author.parse(author)
        if not _VERSION.fullmatch(version):
            raise InputError(f"{version!r} is not a version: give three numbers as in 1.0.0.")
        bare = None if doi is None else re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", doi, flags=re.IGNORECASE)
        if bare is not None and not _DOI.fullmatch(bare):
            raise InputError(f"{doi!r} is not a DOI: give it as in 10.5281/zenodo.1234567.")
        if url is not None and not re.fullmatch(r"https?://[^\s/]+\S*", url):
            raise InputError(f"{url!r} is not the address of a web page: give one that begins with https://.")
        spdx = find_licence(license).spdx
        return cls(
            title=title.strip(),
            version=version,
            license=spdx,
            authors=tuple(authors),
            doi=bare,
            url=url,
            date=date.isoformat(),
        )

    @property
    def licence(self) -> Licence:
        """The licence."""
        return find_licence(self.license)

    @property
    def people(self) -> list[Author]:
        """The authors in order."""
        return [Author.parse(author) for author in self.authors]

    @property
    def address(self) -> str | None:
        """The web address that stands for the data set: the DOI's, or the page's."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url

    def said(self) -> dict[str, Any]:
        """All but the date, which the first run decides."""
        return self.model_dump(mode="json", exclude={"date"})

    def bibtex(self, key: str) -> str:
        """A BibTeX entry."""
        names = " and ".join(f"{{{one.name}}}" if one.family is None else one.name for one in self.people)
        fields = {"title": self.title, "author": names, "year": self.date[:4], "version": self.version}
        more = {"doi": self.doi, "url": self.address, "note": f"Licence {self.license}"}
        lines = [f"  {name} = {{{text}}}," for name, text in {**fields, **more}.items() if text]
        return "\n".join([f"@misc{{{key},", *lines, "}"])
