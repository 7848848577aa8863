"""How members and steps are cut into calls, and the threads that make them."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geozoo.population.lanes import engine
from geozoo.population.lanes.compiled import compiled
from geozoo.population.lanes.engine import CALL_MACS, LanesEngine, cut_tasks
from tests.support.population import cohort_job, hyperparameters, simulated_images

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet
    from geozoo.population import Block, CohortJob

RATES = (0.0, 0.3, 0.0, 0.1, 0.5)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return simulated_images(train=45, test=20)


@pytest.fixture(scope="module")
def job(images: ImageSet) -> CohortJob:
    members = [hyperparameters(dropout=rate, lr=1e-3 * (1 + rate)) for rate in RATES]
    return cohort_job(images, members, epochs=2, precision="float32")


def blocks_of(threads: int, job: CohortJob, images: ImageSet) -> list[Block]:
    return [progress.block for progress in LanesEngine(threads).train(job, images) if progress.block is not None]


def lanes_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lanes")]


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.floats(1, 1e12), st.integers(1, 9))
def test_calls_cover_every_part_of_every_member_once_and_in_order(
    members: int, parts: int, part_macs: float, threads: int
) -> None:
    seen: list[list[int]] = [[] for _ in range(members)]
    for tasks in cut_tasks(members, parts, part_macs, threads):
        in_list = [member for task in tasks for member in range(*task.members)]
        assert sorted(in_list) == list(range(members))
        for task in tasks:
            for member in range(*task.members):
                seen[member].extend(range(*task.part))
    assert seen == [list(range(parts))] * members


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.floats(1, 1e12), st.integers(1, 9))
def test_a_call_is_no_larger_than_asked_and_leaves_work_for_every_thread(
    members: int, parts: int, part_macs: float, threads: int
) -> None:
    for tasks in cut_tasks(members, parts, part_macs, threads):
        largest = max((m[1] - m[0]) * (p[1] - p[0]) for m, p in ((task.members, task.part) for task in tasks))
        assert largest == 1 or largest * part_macs <= CALL_MACS
        assert max(task.members[1] - task.members[0] for task in tasks) <= math.ceil(members / threads)


@pytest.mark.parametrize("call_macs", [1, 3e6, 3e7, CALL_MACS])
@pytest.mark.parametrize("threads", [2, 8])
def test_threads_change_no_bit(
    threads: int, call_macs: float, job: CohortJob, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CALL_MACS", call_macs)
    for ours, theirs in zip(blocks_of(threads, job, images), blocks_of(1, job, images), strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        for name, column in theirs.metrics.items():
            np.testing.assert_array_equal(ours.metrics[name], column, err_msg=name)


@pytest.mark.parametrize("call_macs", [1, 3e6, 3e7])
def test_cuts_change_no_bit_of_the_weights(
    call_macs: float, job: CohortJob, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses are summed over other parts of a split, so their last digits may differ."""
    whole = blocks_of(1, job, images)
    monkeypatch.setattr(engine, "CALL_MACS", call_macs)
    for ours, theirs in zip(blocks_of(1, job, images), whole, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        for name, column in theirs.metrics.items():
            np.testing.assert_allclose(ours.metrics[name], column, rtol=1e-6, err_msg=name)


def test_progress_comes_from_every_call(job: CohortJob, images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CALL_MACS", 1)
    trained = [p.samples for p in LanesEngine(2).train(replace(job, checkpoints=(1,)), images) if p.samples]
    assert sorted(trained) == [5] * 5 + [10] * 20


def test_compiled_code_runs_without_the_interpreter_lock() -> None:
    for number in ("float32", "float64"):
        assert all(entry.targetoptions["nogil"] for entry in compiled(number))


def test_stopping_early_stops_the_threads(job: CohortJob, images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CALL_MACS", 1)
    running = LanesEngine(2).train(job, images)
    next(running)
    assert lanes_threads()
    running.close()
    assert not lanes_threads()


def test_an_error_in_a_call_is_raised_and_stops_the_threads(
    job: CohortJob, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(number: str) -> tuple[object, object]:
        def train_members(*arguments: object) -> None:
            calls.append(arguments)
            raise MemoryError("no room")

        return train_members, compiled(number)[1]

    monkeypatch.setattr(engine, "compiled", broken)
    monkeypatch.setattr(engine, "CALL_MACS", 1)
    with pytest.raises(MemoryError, match="no room"):
        list(LanesEngine(2).train(job, images))
    assert len(calls) <= len(RATES)
    assert not lanes_threads()
