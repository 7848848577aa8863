"""Whether a cohort was trained under the conditions of this process, so that bits can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.population import find_engine
from geozoo.population.how import PACKAGES, describe_run

if TYPE_CHECKING:
    from collections.abc import Mapping


def other_conditions(how: Mapping[str, Any], engine: str) -> list[str]:
    """What differs between the ``how`` block of a commit and a run of ``engine`` here; nothing where bits must agree.

    A block that does not tell the GPU of an engine that may use one, as those of older zoos, counts as different in it.
    So does every GPU: how many members are computed there at once, and so how they round, is a matter of its free
    memory. A package that a block does not name played no part; nor does the version of Python. Where a cohort went on
    from an earlier attempt, that one's conditions count too.
    """
    here = describe_run(engine, wall_s=0)
    packed = [f"a GPU ({how['gpu']}) rounds by how many members fit its memory"] if how.get("gpu") else []
    before = other_conditions(how["before"], engine) if how.get("before") else []
    return list(dict.fromkeys([*packed, *_differing(how, here, engine), *before]))


def _differing(how: Mapping[str, Any], here: Mapping[str, Any], engine: str) -> list[str]:
    silent = "unknown" if find_engine(engine).uses_gpu else None
    versions = how.get("versions", {})
    pairs = {
        "engine": (how.get("engine"), here["engine"]),
        "cpu": (how.get("cpu"), here["cpu"]),
        "gpu": (how.get("gpu", silent), here["gpu"]),
        **{name: (versions.get(name, here["versions"][name]), here["versions"][name]) for name in PACKAGES},
    }
    return [
        f"{name} {there or 'none'} there and {ours or 'none'} here"
        for name, (there, ours) in pairs.items()
        if there != ours
    ]
