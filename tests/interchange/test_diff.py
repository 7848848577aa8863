"""Differences of zoos: found by digests, measured in weights and metrics, summed up in accuracies."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest
from scipy.stats import ks_2samp

from geozoo.interchange.diff import diff_zoos
from geozoo.interchange.merge import prepare_merge
from geozoo.store import create_zoo, open_zoo
from tests.support.forged import forge
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

if TYPE_CHECKING:
    from pathlib import Path


def memory() -> str:
    return f"memory://{uuid4().hex}"


def test_cohorts_rows_and_shards_tell_no_zoos_apart() -> None:
    one, _ = make_zoo(memory(), cohorts=3)
    other, _ = make_zoo(memory(), cohorts=2, shuffle=True, max_shard_bytes=20_000)
    found = diff_zoos(one, other)
    assert found.equal
    assert found.common == 12
    assert found.digests == (one.digest(), one.digest())
    assert (found.accuracies.statistic, found.accuracies.p_value) == (0.0, 1.0)


def test_no_weights_are_read_where_digests_decide(tmp_path: Path) -> None:
    one, _ = make_zoo(tmp_path / "one")
    other = open_zoo(shutil.copytree(one.url, tmp_path / "other"))
    for zoo in (one, other):
        for shards in (tmp_path / zoo.url).glob("cohorts/*/weights.zarr"):
            shutil.rmtree(shards)
    assert diff_zoos(one, other).equal


def test_the_largest_difference_and_its_epoch_are_found(tmp_path: Path) -> None:
    one, _ = make_zoo(tmp_path / "one")
    url = shutil.copytree(one.url, tmp_path / "other")
    members = list(one.plan_of("0-001")["member"])

    def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
        weights[0, 5] += np.float32(0.25) * epoch
        if epoch == 1:
            weights[1, 9] = np.inf
            metrics["test_loss"][2] += 0.5
            metrics["test_accuracy"][2] -= 0.125

    forge(url, "0-001", change)
    found = diff_zoos(one, open_zoo(url))
    assert not found.equal
    assert (found.common, found.only_one, found.only_other) == (12, (), ())
    by_member = {difference.member: difference for difference in found.differing}
    assert list(by_member) == [member for member in one.members["member"] if member in members[:3]]
    drifted, infinite, polished = (by_member[member] for member in members[:3])
    assert drifted.weights == pytest.approx(0.5, abs=1e-6)
    assert (drifted.epoch, drifted.metric) == (2, None)
    assert (infinite.weights, infinite.epoch) == (np.inf, 1)
    assert (polished.weights, polished.epoch, polished.metric) == (0.0, None, "test_loss")
    assert polished.metric_difference == pytest.approx(0.5)


def test_members_of_one_zoo_only_are_listed() -> None:
    one, _ = make_zoo(memory(), members=12)
    other, _ = make_zoo(memory(), members=9)
    ids = list(one.members["member"])
    found = diff_zoos(one, other)
    assert (set(found.only_one), found.only_other, found.common) == (set(ids[9:]), (), 9)
    assert set(diff_zoos(other, one).only_other) == set(ids[9:])


def test_members_without_a_commit_count_as_not_there() -> None:
    one, _ = make_zoo(memory())
    other = create_zoo(memory(), make_header(), make_plan())
    write_cohort(other, "0-000")
    other = open_zoo(other.url)
    found = diff_zoos(one, other)
    assert (found.pending, found.common, len(found.only_one)) == ((0, 8), 4, 8)
    assert found.digests == (one.digest(), None)
    empty = create_zoo(memory(), make_header(), make_plan())
    nothing = diff_zoos(one, empty)
    assert (nothing.shared, nothing.accuracies.other.count, nothing.accuracies.p_value) == ((), 0, None)


def test_zoos_of_other_networks_and_recipes_are_told_apart_in_words() -> None:
    one, _ = make_zoo(memory())
    changed = {
        "recipe": {**make_header().recipe, "training": {"epochs": 2, "lr": 3e-3}},
        "layout": make_header().layout[:-2],
    }
    other = create_zoo(memory(), make_header().model_copy(update=changed), make_plan())
    for cohort in other.members["cohort"].unique():
        write_cohort(other, cohort)
    found = diff_zoos(one, open_zoo(other.url))
    (field,) = found.fields
    assert (field.field, field.one, field.other) == ("training.lr", 1e-3, 3e-3)
    assert found.shared == ("10 tensors against 8",)
    assert len(found.differing) == 12
    assert {difference.weights for difference in found.differing} == {None}


def test_accuracies_are_summed_up_as_a_plain_loop_does() -> None:
    one, truth = make_zoo(memory(), seed=1, members=11, cohorts=1)
    other, others = make_zoo(memory(), seed=2, members=8, cohorts=1)
    first, second = (list(table.metrics.loc[table.metrics["epoch"] == 2, "test_accuracy"]) for table in (truth, others))
    found = diff_zoos(one, other).accuracies
    mean = sum(first) / 11
    assert (found.one.count, found.other.count) == (11, 8)
    assert found.one.mean == pytest.approx(mean)
    assert found.one.std == pytest.approx((sum((value - mean) ** 2 for value in first) / 10) ** 0.5)
    steps = [
        abs(sum(value <= at for value in first) / 11 - sum(value <= at for value in second) / 8)
        for at in first + second
    ]
    assert found.statistic == pytest.approx(max(steps))
    assert found.p_value == pytest.approx(ks_2samp(first, second).pvalue)


def test_a_merged_zoo_is_equal_to_one_with_the_same_members() -> None:
    one, other = make_zoo(memory(), seed=1)[0], make_zoo(memory(), seed=2)[0]
    there = prepare_merge([one.url, other.url]).write(memory())
    back = prepare_merge([other.url, one.url]).write(memory())
    assert diff_zoos(there, back).equal
    assert set(diff_zoos(there, one).only_one) == set(other.members["member"])
