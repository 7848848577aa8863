from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.errors import StoreLostError
from geozoo.store.writer import QUEUED_BLOCKS, AttemptWriter

if TYPE_CHECKING:
    from collections.abc import Callable

WEIGHTS = np.zeros((2, 3), dtype=np.float32)
SECONDS = 20


class FakeAttempt:
    """Notes the epochs it was given; ``on_append`` may block or raise."""

    name = "0-000-fake"

    def __init__(self, on_append: Callable[[int], object] = lambda epoch: None) -> None:
        self.on_append = on_append
        self.epochs: list[int] = []
        self.thread = threading.current_thread()

    def append(self, epoch: int, weights: Any, metrics: Any) -> None:
        self.thread = threading.current_thread()
        self.on_append(epoch)
        self.epochs.append(epoch)


def writer_of(attempt: FakeAttempt) -> AttemptWriter:
    return AttemptWriter(attempt)  # type: ignore[arg-type]


def test_all_is_written_in_order_by_another_thread() -> None:
    attempt = FakeAttempt()
    with writer_of(attempt) as writer:
        for epoch in range(50):
            writer.append(epoch, WEIGHTS, {})
    assert attempt.epochs == list(range(50))
    assert attempt.thread is not threading.current_thread()
    assert not attempt.thread.is_alive()


def test_training_goes_on_while_the_store_is_slow_and_waits_when_the_queue_is_full() -> None:
    opened, waiting = threading.Event(), threading.Event()
    attempt = FakeAttempt(lambda epoch: opened.wait(SECONDS))
    held = 1 + QUEUED_BLOCKS
    with writer_of(attempt) as writer:
        for epoch in range(held):
            writer.append(epoch, WEIGHTS, {})
        one_more = threading.Thread(target=lambda: (writer.append(held, WEIGHTS, {}), waiting.set()))
        one_more.start()
        assert not waiting.wait(0.2)
        assert attempt.epochs == []
        opened.set()
        assert waiting.wait(SECONDS)
        one_more.join()
    assert attempt.epochs == list(range(held + 1))


def fail(epoch: int) -> None:
    if epoch == 3:
        raise StoreLostError("the disk is full.")


def test_a_failure_reaches_the_next_append_and_nothing_hangs() -> None:
    attempt = FakeAttempt(fail)
    with pytest.raises(StoreLostError, match="the disk is full"), writer_of(attempt) as writer:  # noqa: PT012
        for epoch in range(1000):
            writer.append(epoch, WEIGHTS, {})
        pytest.fail("append never raised")
    assert attempt.epochs == [0, 1, 2]


def test_a_failure_in_the_last_block_is_raised_at_the_end() -> None:
    attempt = FakeAttempt(fail)
    with pytest.raises(StoreLostError, match="the disk is full"), writer_of(attempt) as writer:
        writer.append(3, WEIGHTS, {})


def test_an_exception_in_training_drops_what_waits() -> None:
    opened, started = threading.Event(), threading.Event()
    attempt = FakeAttempt(lambda epoch: (started.set(), opened.wait(SECONDS)))

    def train() -> None:
        with writer_of(attempt) as writer:
            for epoch in range(QUEUED_BLOCKS):
                writer.append(epoch, WEIGHTS, {})
            assert started.wait(SECONDS)
            threading.Timer(0.2, opened.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert attempt.epochs == [0]
