"""Resume points of simulated zoos: written, found, passed over when damaged, collected, and never part of a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.store import Attempt, Zoo, collect_garbage, create_zoo, open_zoo, resumable_cohorts, verify
from tests.support.zoos import make_header, make_metrics, make_plan, make_weights, write_cohort

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.store.resume import ResumePoint

EPOCHS = (0, 1, 2, 3)
COHORT = "0-000"
MEMBERS = 4
STATE = {
    "0.weights": np.arange(6, dtype=np.float64).reshape(2, 3),
    "0.steps": np.array(7),
    "0.finite": np.array([True, False]),
    "1.velocity": np.array([np.nan, np.inf], dtype=np.float32),
}


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return create_zoo(tmp_path / "zoo", make_header(EPOCHS), make_plan(MEMBERS, 1))


def attempt_at(zoo: Zoo, epochs: int, *, keep: bool = True) -> Attempt:
    """An attempt with its first epochs appended and, with ``keep``, a resume point after each; a state is a shard."""
    rows = zoo.plan_of(COHORT)
    members = list(rows["member"])
    weights = make_weights(members, EPOCHS, zoo.header.num_parameters)
    attempt = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=4 * zoo.header.num_parameters)
    for number, epoch in enumerate(EPOCHS[:epochs]):
        attempt.append(epoch, weights[:, number], make_metrics(members, epoch))
        if keep and attempt.rests_after(number + 1):
            attempt.keep(epoch, STATE, {"engine": "simulated", "epoch": epoch})
    return attempt


def found(zoo: Zoo) -> tuple[ResumePoint | None, list[str]]:
    notes: list[str] = []
    return attempt_at(zoo, 0).resume_point(notes.append), notes


def point_of(zoo: Zoo) -> ResumePoint:
    point, notes = found(zoo)
    assert point is not None
    assert notes == []
    return point


def finish(zoo: Zoo, attempt: Attempt, point: ResumePoint) -> None:
    """Append what a resume point holds, then the rest, and commit."""
    members = list(zoo.plan_of(COHORT)["member"])
    for block in point.blocks():
        attempt.append(*block)
    weights = make_weights(members, EPOCHS, zoo.header.num_parameters)
    for number, epoch in enumerate(EPOCHS):
        if epoch > point.epoch:
            attempt.append(epoch, weights[:, number], make_metrics(members, epoch))
    assert attempt.commit({"engine": "simulated"}) is not None


def points(zoo: Zoo) -> list[str]:
    return sorted(name for name in zoo.location.list() if "/resume/" in name)


def test_the_latest_one_is_all_there_is_and_gives_back_what_it_was_given(zoo: Zoo) -> None:
    attempt_at(zoo, 3)
    assert [name.rpartition("/")[2] for name in points(zoo)] == ["000002.json", "000002.safetensors"]
    assert resumable_cohorts(zoo.location) == {COHORT: 2}
    point = point_of(zoo)
    assert (point.epoch, point.how) == (2, {"engine": "simulated", "epoch": 2})
    assert point.state.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(point.state[name], array)
        assert (point.state[name].dtype, point.state[name].shape) == (array.dtype, array.shape)
    members = list(zoo.plan_of(COHORT)["member"])
    weights = make_weights(members, EPOCHS, zoo.header.num_parameters)
    for number, (epoch, states, metrics) in enumerate(point.blocks()):
        assert epoch == EPOCHS[number]
        np.testing.assert_array_equal(states, weights[:, number])
        for name, values in make_metrics(members, epoch).items():
            np.testing.assert_array_equal(metrics[name], values)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_cohort_that_went_on_has_the_digest_of_one_that_was_never_left(zoo: Zoo, tmp_path: Path, epochs: int) -> None:
    whole = create_zoo(tmp_path / "whole", make_header(EPOCHS), make_plan(MEMBERS, 1))
    write_cohort(whole, COHORT)
    first = attempt_at(zoo, epochs)
    second = attempt_at(zoo, 0)
    finish(zoo, second, point_of(zoo))
    assert open_zoo(zoo.url).digest() == open_zoo(whole.url).digest()
    assert first.commit is not None
    assert collect_garbage(zoo.url).attempts == (f"cohorts/{first.name}",)
    assert points(zoo) == []
    assert verify(zoo.url, recompute_digest=True).clean


def test_a_commit_removes_the_points_of_its_own_attempt(zoo: Zoo) -> None:
    attempt = attempt_at(zoo, 4)
    assert len(points(zoo)) == 2
    assert attempt.commit({}) is not None
    assert points(zoo) == []
    assert verify(zoo.url, recompute_digest=True).clean
    assert resumable_cohorts(zoo.location) == {}


def test_verify_and_the_collector_know_them_until_the_commit(zoo: Zoo) -> None:
    older, newer = attempt_at(zoo, 1), attempt_at(zoo, 3)
    attempt_at(zoo, 3, keep=False)
    assert [finding.kind for finding in verify(zoo.url).findings] == [
        "planned but uncommitted", "resume point", "uncommitted attempt", "uncommitted attempt",
    ]  # fmt: skip
    garbage = collect_garbage(zoo.url)
    assert garbage.kept == (f"cohorts/{newer.name}",)
    assert f"cohorts/{older.name}" in garbage.attempts
    assert point_of(zoo).epoch == 2


def test_abandoning_leaves_what_can_be_gone_on_from(zoo: Zoo) -> None:
    attempt_at(zoo, 2).abandon()
    assert point_of(zoo).epoch == 1
    attempt_at(zoo, 2, keep=False).abandon()
    assert len({name.split("/")[1] for name in zoo.location.list("cohorts")}) == 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize(
    "part", ["resume/*.json", "resume/*.safetensors", "weights.zarr/c/0/1/0", "weights.zarr/zarr.json"]
)
def test_one_that_is_not_whole_is_passed_over_for_the_one_before(
    zoo: Zoo, part: str, harm: Callable[[Path], Any]
) -> None:
    attempt_at(zoo, 2)
    later = attempt_at(zoo, 3)
    harm(next(Path(zoo.url).glob(f"cohorts/{later.name}/{part}")))
    point, notes = found(zoo)
    assert point is not None
    assert point.epoch == 1
    if (part, harm) != ("resume/*.json", Path.unlink):
        (note,) = notes
        assert note.startswith(f"cohort {COHORT} cannot go on from the resume point cohorts/{later.name}/resume/000002")
        assert note.endswith("it is passed over.")


def test_nothing_to_go_on_from(zoo: Zoo) -> None:
    assert found(zoo) == (None, [])
    later = attempt_at(zoo, 3)
    flip(next(Path(zoo.url).glob(f"cohorts/{later.name}/resume/*.safetensors")))
    point, notes = found(zoo)
    assert point is None
    assert len(notes) == 1


def test_one_of_another_zoo_is_passed_over(zoo: Zoo, tmp_path: Path) -> None:
    other = create_zoo(tmp_path / "other", make_header(EPOCHS, dtype="float16"), make_plan(MEMBERS, 1))
    attempt_at(other, 2)
    for name in other.location.list("cohorts"):
        zoo.location.write(name, other.location.read(name))
    point, (note,) = found(zoo)
    assert point is None
    assert "it was made for another zoo or plan" in note


def test_one_is_written_where_all_states_lie_in_whole_shards_and_more_epochs_are_to_come(zoo: Zoo) -> None:
    rows, state = zoo.plan_of(COHORT), 4 * zoo.header.num_parameters
    alone = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=state)
    paired = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=2 * MEMBERS * state)
    together = Attempt.begin(zoo.location, zoo.header, rows)
    rests = [[attempt.rests_after(epochs) for epochs in range(5)] for attempt in (alone, paired, together)]
    assert rests == [[True, True, True, True, False], [True, False, True, False, False], [True, *[False] * 4]]
