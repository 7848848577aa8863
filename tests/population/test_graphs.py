from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest
import torch

from geozoo.population.graphs import WARM_UP_STEPS, Repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FakeCuda:
    """Stands in for what `torch.cuda` records: a graph keeps the step that was traced and runs it at every replay."""

    def __init__(self, patch: pytest.MonkeyPatch, refusal: str | None = None) -> None:
        self.log: list[str] = []
        self.refusal = refusal
        self.capturing = False
        self.traced: Callable[[], None] | None = None
        fake = self

        class Stream:
            def wait_stream(self, other: object) -> None:
                fake.log.append("wait")

        class CUDAGraph:
            def replay(self) -> None:
                assert fake.traced is not None
                fake.log.append("replay")
                fake.traced()

        @contextmanager
        def graph(_: object) -> Iterator[None]:
            fake.log.append("capture")
            fake.capturing = True
            try:
                yield
            finally:
                fake.capturing = False
            if fake.refusal:
                raise RuntimeError(fake.refusal)

        for name, stand_in in {
            "Stream": Stream,
            "CUDAGraph": CUDAGraph,
            "graph": graph,
            "current_stream": Stream,
            "stream": lambda _: nullcontext(),
        }.items():
            patch.setattr(torch.cuda, name, stand_in)

    def step(self, work: Callable[[], None]) -> Callable[[], None]:
        """A step that, while it is captured, is recorded and does nothing."""

        def run() -> None:
            if self.capturing:
                self.traced = work
            else:
                work()

        return run


class Counter:
    """A step on a tensor that stays where it is, and how often it was done."""

    def __init__(self, device: str = "cpu") -> None:
        self.total = torch.zeros((), device=device)

    def __call__(self) -> None:
        self.total += 1

    @property
    def done(self) -> int:
        return int(self.total.item())


def test_on_a_cpu_the_step_is_just_called() -> None:
    calls: list[int] = []
    repeated = Repeated(lambda: calls.append(len(calls)), "cpu")
    for _ in range(3 * WARM_UP_STEPS):
        repeated()
    assert calls == list(range(3 * WARM_UP_STEPS))
    assert repeated.refusal is None


def test_on_a_gpu_every_call_counts_once_and_all_but_the_first_replay_one_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter, cuda = Counter(), FakeCuda(monkeypatch)
    repeated = Repeated(cuda.step(counter), "cuda")
    for call in range(1, WARM_UP_STEPS + 6):
        repeated()
        assert counter.done == call
    assert cuda.log == ["wait", "wait"] * WARM_UP_STEPS + ["capture"] + ["replay"] * 5
    assert repeated.refusal is None


def test_a_step_that_cannot_be_captured_goes_on_being_called_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    cuda = FakeCuda(monkeypatch, refusal="operation not permitted when stream is capturing\nCompile with DSA")
    repeated = Repeated(cuda.step(counter), "cuda")
    for call in range(1, WARM_UP_STEPS + 6):
        repeated()
        assert counter.done == call
    assert cuda.log.count("capture") == 1
    assert "replay" not in cuda.log
    assert repeated.refusal == "operation not permitted when stream is capturing"


def test_an_error_of_another_kind_is_not_taken_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)

    def step() -> None:
        if cuda.capturing:
            raise ValueError("a defect of the step")

    repeated = Repeated(step, "cuda")
    for _ in range(WARM_UP_STEPS):
        repeated()
    with pytest.raises(ValueError, match="a defect of the step"):
        repeated()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captures a CUDA graph, and there is no GPU")
def test_a_graph_on_a_real_gpu_does_the_step_once_a_call() -> None:
    counter = Counter("cuda")
    repeated = Repeated(counter, "cuda")
    for call in range(1, WARM_UP_STEPS + 6):
        repeated()
        assert counter.done == call
    assert repeated.refusal is None
