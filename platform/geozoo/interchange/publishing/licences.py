"""Licences that a published zoo can carry: those made for data, by their SPDX identifier."""

from __future__ import annotations

from dataclasses import dataclass

from geozoo.errors import InputError


@dataclass(frozen=True)
class Licence:
    """A licence: SPDX identifier, name, where its text is, and the tag that the Hugging Face Hub has for it."""

    spdx: str
    name: str
    url: str
    hub: str


LICENCES = {
    licence.spdx: licence
    for licence in (
        Licence(
            "CC-BY-4.0",
            "Creative Commons Attribution 4.0 International",
            "https://creativecommons.org/licenses/by/4.0/",
            "cc-by-4.0",
        ),
        Licence(
            "CC-BY-SA-4.0",
            "Creative Commons Attribution-ShareAlike 4.0 International",
            "https://creativecommons.org/licenses/by-sa/4.0/",
            "cc-by-sa-4.0",
        ),
        Licence(
            "CC-BY-NC-4.0",
            "Creative Commons Attribution-NonCommercial 4.0 International",
            "https://creativecommons.org/licenses/by-nc/4.0/",
            "cc-by-nc-4.0",
        ),
        Licence(
            "CC0-1.0",
            "Creative Commons Zero 1.0 Universal",
            "https://creativecommons.org/publicdomain/zero/1.0/",
            "cc0-1.0",
        ),
        Licence(
            "ODC-By-1.0",
            "Open Data Commons Attribution License 1.0",
            "https://opendatacommons.org/licenses/by/1-0/",
            "odc-by",
        ),
        Licence(
            "ODbL-1.0",
            "Open Data Commons Open Database License 1.0",
            "https://opendatacommons.org/licenses/odbl/1-0/",
            "odbl",
        ),
        Licence(
            "PDDL-1.0",
            "Open Data Commons Public Domain Dedication and License 1.0",
            "https://opendatacommons.org/licenses/pddl/1-0/",
            "pddl",
        ),
    )
}


def find_licence(spdx: str) -> Licence:
    """The licence of an identifier, in any spelling of upper and lower case; `InputError` lists the known ones."""
    known = {name.lower(): licence for name, licence in LICENCES.items()}
    if spdx.lower() not in known:
        raise InputError(f"{spdx!r} is not a licence for a published zoo: choose one of {', '.join(LICENCES)}.")
    return known[spdx.lower()]
