from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from geozoo.errors import RecipeError
from geozoo.recipe import (
    HYPERPARAMETERS,
    PLAN_COLUMNS,
    STRUCTURAL,
    Recipe,
    cohort_size,
    load_recipe,
    parse_recipe,
    plan_members,
    plan_table,
)
from tests.support.recipes import GRID, make_recipe, recipe_tree, space_population

REPOSITORY = Path(__file__).parents[2]

PUBLISHED_GRID: dict[str, Any] = {
    "activation": ["tanh", "relu", "sigmoid", "gelu"],
    "init": ["uniform", "normal", "kaiming_uniform", "kaiming_normal"],
    "optimizer": ["adam", "sgd"],
    "lr": [1e-3, 1e-4],
    "weight_decay": [1e-3, 1e-4],
    "dropout": [0, 0.5],
}
PUBLISHED_CELLS = 4 * 4 * 2 * 2 * 2 * 2


def population(**more: Any) -> dict[str, Any]:
    return {"grid": GRID} | more


def ids(recipe: Recipe, count: int | None = None) -> list[str]:
    return [member.id for member in plan_members(recipe, count)]


@pytest.fixture(scope="module", params=["fixed", "random"])
def published(request: pytest.FixtureRequest) -> Recipe:
    """The published hyper-parameter zoos: ten seeds for every cell, the same for all or drawn."""
    return make_recipe(population={"grid": PUBLISHED_GRID, "seeds": {"kind": request.param, "count": 10}})


def test_the_published_grid_has_2560_members(published: Recipe) -> None:
    members = plan_members(published)
    assert len(members) == 2560 == PUBLISHED_CELLS * 10
    assert len({member.id for member in members}) == 2560
    assert all(re.fullmatch("[0-9a-f]{16}", member.id) for member in members)


def test_every_combination_is_planned(published: Recipe) -> None:
    combinations = set(itertools.product(*PUBLISHED_GRID.values()))
    planned = [
        tuple(getattr(member.hyperparameters, name) for name in PUBLISHED_GRID) for member in plan_members(published)
    ]
    assert Counter(planned) == dict.fromkeys(combinations, 10)


def test_each_round_covers_every_cell_once(published: Recipe) -> None:
    cells = [member.hyperparameters for member in plan_members(published)]
    everything = set(cells)
    for start in range(0, 2560, PUBLISHED_CELLS):
        part = cells[start : start + PUBLISHED_CELLS]
        assert len(part) == len(set(part))
        assert set(part) == everything


def test_the_first_members_of_a_grid_are_a_mixture() -> None:
    recipe = make_recipe(population={"grid": PUBLISHED_GRID})
    first = [member.hyperparameters for member in plan_members(recipe, 64)]
    for name, values in PUBLISHED_GRID.items():
        assert {getattr(cell, name) for cell in first} == set(values)


def test_fixed_seeds_count_up_and_are_the_same_in_all_cells() -> None:
    recipe = make_recipe(population=population(seeds={"kind": "fixed", "first": 7, "count": 3}))
    seeds: dict[Any, list[int]] = {}
    for member in plan_members(recipe):
        seeds.setdefault(member.hyperparameters, []).append(member.seed)
    assert len(seeds) == 8
    assert all(own == [7, 8, 9] for own in seeds.values())


def test_random_seeds_differ_within_a_cell_and_lie_below_a_million() -> None:
    recipe = make_recipe(population=population(seeds={"kind": "random", "count": 1000}))
    seeds: dict[Any, list[int]] = {}
    for member in plan_members(recipe):
        seeds.setdefault(member.hyperparameters, []).append(member.seed)
    assert all(len(set(own)) == 1000 for own in seeds.values())
    drawn = [seed for own in seeds.values() for seed in own]
    assert 0 <= min(drawn) < 10_000
    assert 990_000 < max(drawn) < 1_000_000
    assert abs(sum(drawn) / len(drawn) - 500_000) < 5 * 1e6 / (12 * len(drawn)) ** 0.5
    assert len({tuple(own) for own in seeds.values()}) == 8
    other = make_recipe(population=population(seeds={"kind": "random", "count": 1000, "first": 2}))
    assert not {member.id for member in plan_members(recipe)} & {member.id for member in plan_members(other, 100)}


SAMPLED = space_population({"lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1}}, members=12, seeds={"count": 3})


@pytest.mark.parametrize(
    "tree",
    [
        recipe_tree(population=population(seeds={"count": 3})),
        recipe_tree(population=population(seeds={"kind": "random", "count": 3})),
        recipe_tree(population=SAMPLED),
        recipe_tree(population=SAMPLED | {"space": SAMPLED["space"] | {"method": "sobol"}}),
    ],
    ids=["fixed", "random", "sampled", "sobol"],
)
def test_a_plan_is_the_start_of_every_longer_one(tree: dict[str, Any]) -> None:
    recipe = parse_recipe(tree)
    longest = ids(recipe, 24)
    assert len(set(longest)) == 24
    for count in range(24):
        assert ids(recipe, count) == longest[:count]


def test_more_seeds_continue_a_grid() -> None:
    for kind in ("fixed", "random"):
        few, many = (make_recipe(population=population(seeds={"kind": kind, "count": count})) for count in (2, 5))
        assert ids(few) == ids(many)[: 2 * 8]


def test_members_of_the_recipe_are_the_number_planned() -> None:
    assert len(ids(make_recipe(population=population(members=3)))) == 3
    assert len(ids(make_recipe(population=SAMPLED))) == 12


@pytest.mark.parametrize(
    ("tree", "there"),
    [
        (population(members=9), 8),
        (population(members=17, seeds={"count": 2}), 16),
        (space_population({"lr": {"kind": "choice", "values": [1e-3, 1e-2]}}, members=3), 2),
    ],
)
def test_more_members_than_there_are_is_refused(tree: dict[str, Any], there: int) -> None:
    with pytest.raises(RecipeError, match=rf"{tree['members']} members .* 'small' makes {there}: ask for fewer"):
        plan_members(make_recipe(population=tree))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"title": "Another title"},
        {"provenance": {"default": "published", "source": "a paper"}},
        {"store": {"dtype": "float16"}},
        {"population": population(members=8)},
        {"population": population(seeds={"count": 4})},
        {"population": {"grid": {name: GRID[name] for name in reversed(GRID)}}},
    ],
    ids=str,
)
def test_ids_do_not_depend_on(change: dict[str, Any]) -> None:
    assert ids(make_recipe(**change))[:8] == ids(make_recipe())


def test_ids_do_not_depend_on_where_the_images_lie() -> None:
    places = [{"name": "mnist"}, {"name": "mnist", "path": "/here"}, {"name": "mnist", "path": "/there"}]
    here, *others = (ids(make_recipe(dataset=place)) for place in places)
    assert all(other == here for other in others)


def test_ids_do_not_depend_on_the_other_members() -> None:
    assert set(ids(make_recipe({"lr": 1e-3}))) < set(ids(make_recipe()))


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"name": "mnist"}},
        {"dataset": {"name": "digits", "size": 32}},
        {"dataset": {"name": "digits", "limits": {"train": 100}}},
        {"dataset": {"name": "digits", "split_seed": 1}},
        {"network": {"name": "unterthiner"}},
        {"training": {"epochs": 6}},
        {"training": {"epochs": 5, "precision": "float64"}},
        {"population": population(seeds={"first": 100})},
        {"population": population(seeds={"kind": "random"})},
        *({"population": {"grid": GRID | {name: value}}} for name, value in {
            "activation": "gelu", "init": "orthogonal", "init_std": 0.5, "optimizer": "sgd", "lr": 0.5,
            "weight_decay": 0.1, "momentum": 0.5, "dropout": 0.1, "batch_size": 11,
        }.items()),
    ],
    ids=str,
)  # fmt: skip
def test_ids_depend_on(change: dict[str, Any]) -> None:
    assert not set(ids(make_recipe(**change))) & set(ids(make_recipe()))


def test_plans_do_not_depend_on_the_process() -> None:
    script = (
        "from tests.support.recipes import make_recipe, space_population\n"
        "from geozoo.recipe import plan_members\n"
        "axes = {'lr': {'kind': 'log_uniform', 'low': 1e-4, 'high': 1e-1}}\n"
        "sampled = space_population(axes, 9, seeds={'kind': 'random', 'count': 2})\n"
        "for recipe in (make_recipe(), make_recipe(population=sampled)):\n"
        "    print([member.id for member in plan_members(recipe)])\n"
    )
    outputs = set()
    for seed in ("1", "2"):
        paths = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert outputs.pop().startswith(str(ids(make_recipe())))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_cohorts_agree_in_structure_and_are_even(size: int) -> None:
    members = plan_members(make_recipe(population={"grid": PUBLISHED_GRID, "seeds": {"count": 2}}))[:500]
    table = plan_table(members, size, number=3)
    assert tuple(table.columns) == PLAN_COLUMNS == ("member", "cohort", "position", "seed", *HYPERPARAMETERS)
    assert sorted(table["member"]) == sorted(member.id for member in members)
    sizes: dict[object, set[int]] = {}
    for cohort, rows in table.groupby("cohort"):
        assert re.fullmatch(r"3-\d{3,}", str(cohort))
        assert list(rows["position"]) == list(range(len(rows)))
        assert len(rows) <= size
        kinds = rows[list(STRUCTURAL)].drop_duplicates()
        assert len(kinds) == 1
        sizes.setdefault(tuple(kinds.iloc[0]), set()).add(len(rows))
    assert all(max(own) - min(own) <= 1 for own in sizes.values())
    groups = table.groupby(list(STRUCTURAL)).size()
    assert table["cohort"].nunique() == sum(-(-count // size) for count in groups)


def test_a_plan_table_holds_the_members() -> None:
    members = plan_members(make_recipe({"batch_size": [16, 32]}))
    by_id = {member.id: member for member in members}
    for row in plan_table(members, 4, number=0).to_dict("records"):
        member = by_id[row["member"]]
        assert row["seed"] == member.seed
        assert {name: row[name] for name in HYPERPARAMETERS} == member.hyperparameters.model_dump()


def test_cohort_names_sort_in_running_order() -> None:
    members = plan_members(make_recipe(population=population(seeds={"count": 150})))
    cohorts = plan_table(members, 1, number=0)["cohort"]
    assert cohorts.nunique() == 1200
    assert list(cohorts) == sorted(cohorts)


@pytest.mark.parametrize("members", [1, 8, 100, 1_000, 10_000, 100_000])
@pytest.mark.parametrize("params", [100, 2_464, 10_853, 1_000_000, 3_000_000, 30_000_000])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("updates", [100, 50_000 * 50])
def test_cohort_size_is_bounded(members: int, params: int, dtype: str, updates: int) -> None:
    size = cohort_size(members=members, params=params, dtype=dtype, updates=updates)
    state = params * {"float32": 4, "float16": 2}[dtype]
    assert 1 <= size <= 128
    assert size == 1 or size * state <= 64 * 2**20
    assert size >= min(8, max(1, 64 * 2**20 // state))
    assert size == cohort_size(members=members, params=params, dtype=dtype, updates=updates)


def test_cohort_size_leaves_cohorts_to_spread_and_little_to_lose() -> None:
    small: dict[str, Any] = {"params": 2464, "dtype": "float32"}
    assert cohort_size(members=640, updates=1000, **small) == 640 // 32
    assert cohort_size(members=100_000, updates=1000, **small) == 128
    slower = [cohort_size(members=100_000, updates=updates, **small) for updates in (10_000, 200_000, 10**9)]
    assert slower == sorted(slower, reverse=True)
    assert slower[-1] == 8


def test_fifty_thousand_small_members_make_few_cohorts() -> None:
    size = cohort_size(members=50_000, params=100, dtype="float32", updates=75 * 1040)
    assert 50_000 / size < 600


def test_the_shard_of_a_plan_is_that_of_the_store() -> None:
    from geozoo.recipe.plan import SHARD_BYTES
    from geozoo.store.shards import MAX_SHARD_BYTES

    assert SHARD_BYTES == MAX_SHARD_BYTES


def test_a_catalogue_recipe_can_be_cut_to_a_few_members() -> None:
    recipe = load_recipe(REPOSITORY / "zoos" / "digits_cnn.yaml", ["population.members=5"])
    assert len(plan_members(recipe)) == 5


def test_fields_that_came_later_leave_the_ids_of_members_alone() -> None:
    plain = make_recipe()
    assert set(plain.identity()["training"]) == {"epochs", "checkpoints", "precision"}
    for later in ({"schedule": "onecycle"}, {"augmentation": "crop_flip"}):
        other = make_recipe(training=plain.training.model_dump(mode="json") | later)
        assert later.items() <= other.identity()["training"].items()
        assert plan_members(other)[0].id != plan_members(plain)[0].id


def test_options_of_image_sets_that_came_later_leave_the_ids_of_members_alone() -> None:
    plain = make_recipe(dataset={"name": "svhn", "path": "svhn"})
    assert set(plain.identity()["dataset"]) == {"name", "size", "limits", "split_seed"}
    added: list[dict[str, object]] = [{"grayscale": True}, {"crop": 28}, {"validation": 0.1}]
    for later in [*added, {"mean": [0.1], "std": [0.2]}]:
        other = make_recipe(dataset={"name": "svhn", "size": 32} | later)
        assert later.items() <= other.identity()["dataset"].items()
        assert plan_members(other)[0].id != plan_members(plain)[0].id
