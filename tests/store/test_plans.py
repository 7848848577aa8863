"""Plan tables, creation and extension."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from geozoo.errors import DamagedZooError, InputError, ZooMismatchError
from geozoo.recipe import PLAN_COLUMNS as RECIPE_COLUMNS
from geozoo.store import create_zoo, extend_zoo, open_location, open_zoo
from geozoo.store.plans import PLAN_COLUMNS, decode_plan, encode_plan
from tests.support.zoos import make_header, make_plan, make_truth, write_cohort

if TYPE_CHECKING:
    from pathlib import Path


def test_recipes_and_the_store_agree_on_the_columns() -> None:
    assert tuple(PLAN_COLUMNS) == RECIPE_COLUMNS


def test_a_plan_is_read_as_written_and_its_bytes_are_deterministic() -> None:
    plan = make_plan(shuffle=True)
    data = encode_plan(plan)
    assert data == encode_plan(plan.copy())
    pd.testing.assert_frame_equal(decode_plan(data, 0).table, plan, check_dtype=False)
    assert list(decode_plan(data, 0).table["lr"]) == list(plan["lr"])


def test_a_damaged_plan_is_never_read_as_another() -> None:
    """Parquet itself reads some flipped bits as other values."""
    data = encode_plan(make_plan(members=3))
    table = decode_plan(data, 0).table
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with contextlib.suppress(DamagedZooError):
            pd.testing.assert_frame_equal(decode_plan(bytes(damaged), 0).table, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plan: plan.drop(columns="lr"), "a plan table has the columns"),
        (lambda plan: plan.assign(lr=[None, *plan["lr"][1:]]), "lacks values"),
        (lambda plan: plan[:0], "at least one member"),
        (lambda plan: plan.assign(member=plan["member"].iloc[0]), "is planned twice"),
        (lambda plan: plan.assign(cohort="first"), "'first' is not named"),
        (lambda plan: plan.assign(cohort=["1-000", *plan["cohort"][1:]]), "different plan numbers"),
        (lambda plan: plan.assign(position=1), "are not 0 to"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_zoo(tmp_path, make_header(), change(make_plan()))
    assert open_location(tmp_path).list() == {}


def test_the_first_plan_is_fixed_for_good(tmp_path: Path) -> None:
    """Sampled values are frozen by the first creation, so a later plan from the same recipe changes nothing."""
    create_zoo(tmp_path, make_header(), make_plan(seed=0))
    zoo = create_zoo(tmp_path, make_header(), make_plan(seed=1))
    assert list(zoo.members["member"]) == list(make_plan(seed=0)["member"])


def test_an_interrupted_creation_is_finished(tmp_path: Path) -> None:
    create_zoo(tmp_path, make_header(), make_plan())
    (tmp_path / "zoo.json").unlink()
    assert len(create_zoo(tmp_path, make_header(), make_plan()).members) == 12
    (tmp_path / "zoo.json").unlink()
    with pytest.raises(ZooMismatchError, match="plans other members than yours"):
        create_zoo(tmp_path, make_header(), make_plan(seed=1))


def test_a_mismatch_shows_what_differs(tmp_path: Path) -> None:
    header = make_header()
    create_zoo(tmp_path, header, make_plan())
    other = make_header((0, 1, 3), name="other").model_copy(update={"engine": "torch", "dtype": "float16"})
    with pytest.raises(ZooMismatchError) as error:
        create_zoo(tmp_path, other, make_plan())
    assert str(error.value) == (
        f"the zoo at {tmp_path} was made from something else (checkpoints.2 is 2 there and 3 here; "
        "dtype is 'float32' there and 'float16' here; engine is 'reference' there and 'torch' here; and 3 more): "
        "choose another URL or the same settings."
    )


def test_a_zoo_is_extended_by_a_further_plan(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header(), make_plan(members=4, cohorts=2))
    for cohort in ("0-000", "0-001"):
        write_cohort(zoo, cohort)
    more = make_plan(members=3, cohorts=1, number=1)
    zoo = extend_zoo(tmp_path, more)
    assert list(zoo.members["plan"]) == [0] * 4 + [1] * 3
    assert list(zoo.members["committed"]) == [True] * 4 + [False] * 3
    write_cohort(zoo, "1-000")
    zoo = extend_zoo(tmp_path, more)
    assert zoo.members["committed"].all()
    assert (zoo.weights[:] == make_truth(zoo).weights).all()
    assert len(open_zoo(tmp_path).plans) == 2


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (make_plan(number=2), "plan 2 cannot extend"),
        (make_plan(number=0), "plan 0 cannot extend"),
        (make_plan(number=1, seed=3), "plans other members than yours"),
        (make_plan().assign(cohort="2-000", position=range(12)), "is planned in .* already"),
    ],
)
def test_an_extension_that_does_not_fit_is_refused(tmp_path: Path, plan: pd.DataFrame, message: str) -> None:
    create_zoo(tmp_path, make_header(), make_plan())
    if not message.startswith("plan "):
        extend_zoo(tmp_path, make_plan(number=1))
    with pytest.raises(ZooMismatchError, match=message):
        extend_zoo(tmp_path, plan)


def imported_plan() -> pd.DataFrame:
    """A plan as an import makes it: values that are not known, and further columns."""
    unknown = {"seed": [1, None, 3], "init": [None] * 3, "batch_size": [None] * 3, "lr": [0.1, None, 0.3]}
    further = {"source": ["a", "b", "c"], "width": [1, 2, 3], "share": [0.5, None, 1.0], "words": [None, "x", "y"]}
    return make_plan(members=3, cohorts=1).assign(**unknown, **further)


def test_an_imported_plan_keeps_what_is_not_known() -> None:
    with pytest.raises(InputError, match="a plan table has the columns"):
        encode_plan(imported_plan())
    table = decode_plan(encode_plan(imported_plan(), imported=True), 0).table
    assert list(table.columns[-4:]) == ["source", "width", "share", "words"]
    assert table["seed"].tolist() == [1, None, 3]
    assert table["batch_size"].isna().all()
    assert table["lr"].tolist()[::2] == [0.1, 0.3]
    assert table["lr"].isna().tolist() == [False, True, False]
    assert table["words"].isna().tolist() == [True, False, False]


def test_a_damaged_imported_plan_is_never_read_as_another() -> None:
    data = encode_plan(imported_plan(), imported=True)
    table = decode_plan(data, 0).table
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with contextlib.suppress(DamagedZooError):
            pd.testing.assert_frame_equal(decode_plan(bytes(damaged), 0).table, table)


def test_a_zoo_that_was_populated_is_what_it_was_before_imports() -> None:
    """Its header has no origin and the first version, so that commits made before still fit it."""
    header = json.loads(make_header().dumps())
    assert header["version"] == 1
    assert "origin" not in header
