"""The plan: a recipe spelled out, one row per member, and the cohorts that are trained together."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import RecipeError
from geozoo.recipe.space import HYPERPARAMETERS, HyperParameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from geozoo.recipe.model import Recipe
    from geozoo.recipe.space import Seeds

STRUCTURAL = ("activation", "optimizer", "batch_size")
"""Hyper-parameters that change the computation itself: members of one cohort agree in them."""

PLAN_COLUMNS: tuple[str, ...] = ("member", "cohort", "position", "seed", *HYPERPARAMETERS)
"""Columns of a plan table, in order."""

RANDOM_SEED_LIMIT = 1_000_000

SHARD_BYTES = 64 * 2**20
LOST_WORK_SECONDS = 600
MAX_COHORT = 128
MIN_COHORT = 8
COHORTS_WANTED = 32
PARAMETER_UPDATES_PER_SECOND = 2.5e7


@dataclass(frozen=True)
class Member:
    """One planned member: its id (16 hexadecimal characters), seed and hyper-parameters."""

    id: str
    seed: int
    hyperparameters: HyperParameters


def plan_members(recipe: Recipe, count: int | None = None) -> list[Member]:
    """Spell out the first ``count`` members of a recipe in planning order (default: ``population.members``, or all).

    A member's id begins the SHA-256 of what decides its training and evaluation: `Recipe.identity`, hyper-parameters,
    seed. A grid goes through all cells with their first seed, then all cells with their second seed and so on, cells
    within a round by member id, so that the first members are a fair sample of it and a seed zoo counts its seeds up. A
    sampled space goes draw by draw, each with all its seeds. Asking for more members later gives the same ones first.

    Raises:
        RecipeError: more members than the recipe has.
    """
    wanted = recipe.population.members if count is None else count
    members = list(_members(recipe, wanted))
    if wanted is not None and wanted > len(members):
        raise RecipeError(
            f"{wanted} members are asked for, but recipe {recipe.name!r} makes {len(members)}: "
            "ask for fewer, or give population.seeds a higher count."
        )
    return members[:wanted]


def _members(recipe: Recipe, wanted: int | None) -> Iterator[Member]:
    """All members of a grid, or at least ``wanted`` of a sampled space where it has as many."""
    population, identity = recipe.population, _identity(recipe)
    if population.grid is not None:
        cells = [(cell, _cell_seeds(population.seeds, identity, cell)) for cell in population.grid.cells()]
        for repetition in range(population.seeds.count):
            members = [_member(identity, cell, seeds[repetition]) for cell, seeds in cells]
            yield from sorted(members, key=lambda member: member.id)
    elif population.space is not None and wanted is not None:
        for cell in population.space.draws(-(-wanted // population.seeds.count)):
            for seed in _cell_seeds(population.seeds, identity, cell):
                yield _member(identity, cell, seed)


def member_id(recipe: Recipe, hyperparameters: HyperParameters, seed: int) -> str:
    """The id that a member of these hyper-parameters and this seed has in zoos of a recipe; see `plan_members`."""
    return _member(_identity(recipe), hyperparameters, seed).id


def _identity(recipe: Recipe) -> str:
    return json.dumps(recipe.identity(), sort_keys=True)


def _member(identity: str, cell: HyperParameters, seed: int) -> Member:
    digest = hashlib.sha256(f"{identity}\n{cell.model_dump_json()}\n{seed}".encode()).hexdigest()
    return Member(digest[:16], seed, cell)


def _cell_seeds(seeds: Seeds, identity: str, cell: HyperParameters) -> list[int]:
    """The seeds of one cell: counted up, or drawn below a million without repeats from a hash of the cell."""
    if seeds.kind == "fixed":
        return list(range(seeds.first, seeds.first + seeds.count))
    drawn: dict[int, None] = {}
    attempts = itertools.count()
    while len(drawn) < seeds.count:
        text = f"{identity}\n{cell.model_dump_json()}\nseed {seeds.first} {next(attempts)}"
        digest = hashlib.sha256(text.encode()).digest()
        drawn.setdefault(int.from_bytes(digest[:8], "little") % RANDOM_SEED_LIMIT)
    return list(drawn)


def cohort_size(*, members: int, params: int, dtype: str, updates: int) -> int:
    """How many members one cohort has, from the recipe alone.

    ``params`` are those of one member, stored as ``dtype``; ``updates`` are the images it is trained on times epochs.
    One checkpoint of a cohort fits a shard (64 MiB), whatever else. A cohort has at most 128 members, no more than
    train in ten minutes on one core (by `PARAMETER_UPDATES_PER_SECOND`), which is what is lost when a worker dies, and
    few enough to leave `COHORTS_WANTED` cohorts to spread over workers; but eight at least, since smaller ones waste
    the hardware.
    """
    bytes_per_member = params * (2 if dtype == "float16" else 4)
    by_shard = max(1, SHARD_BYTES // bytes_per_member)
    by_time = LOST_WORK_SECONDS * PARAMETER_UPDATES_PER_SECOND / (updates * params)
    by_spread = -(-members // COHORTS_WANTED)
    return min(by_shard, max(MIN_COHORT, min(MAX_COHORT, int(by_time), by_spread)))


def plan_table(members: Iterable[Member], size: int, number: int) -> pd.DataFrame:
    """Lay members out in cohorts of at most ``size`` that agree in `STRUCTURAL`; columns as in `PLAN_COLUMNS`.

    Members that agree are cut into cohorts of equal size, give or take one. Cohorts are named
    ``<plan number>-<running number>``, as ``0-003``.
    """
    import pandas as pd

    groups: dict[tuple[object, ...], list[Member]] = defaultdict(list)
    for member in members:
        groups[tuple(getattr(member.hyperparameters, name) for name in STRUCTURAL)].append(member)
    cohorts = [part for group in groups.values() for part in _even_parts(group, size)]
    digits = max(3, len(str(len(cohorts) - 1)))
    rows = [
        {
            "member": member.id,
            "cohort": f"{number}-{index:0{digits}d}",
            "position": position,
            "seed": member.seed,
            **member.hyperparameters.model_dump(),
        }
        for index, cohort in enumerate(cohorts)
        for position, member in enumerate(cohort)
    ]
    return pd.DataFrame(rows, columns=list(PLAN_COLUMNS))


def _even_parts(group: list[Member], size: int) -> Iterator[list[Member]]:
    parts = -(-len(group) // size)
    for part in range(parts):
        yield group[part * len(group) // parts : (part + 1) * len(group) // parts]
