"""Where the members of a merged zoo come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class MergedSource(BaseModel):
    """One zoo that went into a merged one: what it was called, what it held, and how it was made.

    ``digest`` is the digest of that zoo; ``cohorts`` and ``members`` are how many it had. ``recipe`` and ``engine`` are
    its own, ``origin`` too where it was not populated from a recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str
    cohorts: int = Field(ge=1)
    members: int = Field(ge=1)
    recipe: dict[str, Any]
    engine: str
    origin: dict[str, Any] | None = None


class Merged(BaseModel):
    """The origin of a merged zoo: its sources, in the order of its cohorts, under names of which each is there once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["merged"] = "merged"
    sources: tuple[MergedSource, ...] = Field(min_length=1)

    @property
    def words(self) -> str:
        """How the zoo came about, after "the zoo was"."""
        return f"merged from {' and '.join(source.name for source in self.sources)}"

    def source_of(self, cohort: str) -> MergedSource:
        """The source of a cohort such as ``0-003``, which are numbered through."""
        number = int(cohort.partition("-")[2])
        for source in self.sources:
            if number < source.cohorts:
                return source
            number -= source.cohorts
        raise IndexError(f"no source has cohort {cohort}")
