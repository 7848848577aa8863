"""Calls under way at once: all results, in order, and no deadlock."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from geozoo.store.concurrency import concurrently


def double(number: int) -> int:
    return 2 * number


def test_results_are_in_order_and_overlap() -> None:
    both_there = threading.Barrier(2, timeout=20)
    assert concurrently(lambda number: (both_there.wait(), number)[1], range(2)) == [0, 1]
    assert concurrently(double, range(100)) == list(range(0, 200, 2))


def test_the_first_exception_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        concurrently(lambda number: 1 // number, [1, 0, 2])


def test_calls_inside_calls_do_not_wait_for_each_other() -> None:
    def inner(number: int) -> int:
        return sum(concurrently(double, range(number)))

    assert concurrently(inner, range(40)) == [number * (number - 1) for number in range(40)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is the point
def test_a_forked_process_has_threads_of_its_own() -> None:
    concurrently(double, range(10))
    child = multiprocessing.get_context("fork").Process(target=concurrently, args=(double, range(10)), daemon=True)
    child.start()
    child.join(timeout=20)
    assert child.exitcode == 0
