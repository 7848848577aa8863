"""Whether a cohort was trained under the conditions of this process, so that bits can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.population.how import describe_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGES = ("geozoo", "torch", "numba", "numpy")
"""Packages whose versions decide the bits of a training; the version of Python does not."""


def other_conditions(how: Mapping[str, Any], engine: str) -> list[str]:
    """What differs between the ``how`` block of a commit and a run of ``engine`` here; nothing where bits must agree.

    A block that does not tell one of them, as those of older zoos do not tell the GPU, counts as different in it. So
    does every GPU: how many members are computed there at once, and so how they round, is a matter of its free memory.
    """
    here = describe_run(engine, wall_s=0)
    packed = [f"a GPU ({how['gpu']}) rounds by how many members fit its memory"] if how.get("gpu") else []
    return packed + [
        f"{name} {there or 'none'} there and {ours or 'none'} here"
        for (name, there), (_, ours) in zip(_conditions(how), _conditions(here), strict=True)
        if there != ours
    ]


def _conditions(how: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("engine", "cpu", "gpu"):
        yield name, how.get(name, "unknown")
    versions = how.get("versions", {})
    for package in PACKAGES:
        yield package, versions.get(package, "unknown")
