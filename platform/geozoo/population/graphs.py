"""Training steps as CUDA graphs: launched once, without the host in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP_STEPS = 3
"""Eager steps before a capture, in which libraries choose their kernels and the memory pool fills."""


class Repeated:
    """A step that is called again and again on the same tensors; on a GPU it is a CUDA graph after the first calls.

    ``step`` takes and returns nothing, works in place on tensors that stay where they are and never waits for the
    device. The first `WARM_UP_STEPS` calls run as they are, on the stream of the capture; all of them count. A step
    that cannot be captured goes on being called as it is, and ``refusal`` says why.
    """

    def __init__(self, step: Callable[[], None], device: str) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0
        self._captures = device == "cuda"
        self.refusal: str | None = None

    def __call__(self) -> None:
        """Do the step once."""
        if self._graph is not None:
            self._graph.replay()
        elif self._captures and self._calls == WARM_UP_STEPS:
            self._capture()
            self()
        elif self._captures:
            self._calls += 1
            self._on_side_stream()
        else:
            self._step()

    def _on_side_stream(self) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._step()
        torch.cuda.current_stream().wait_stream(side)

    def _capture(self) -> None:
        """Record the step without running it."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._step()
        except RuntimeError as error:
            self._captures, self.refusal = False, str(error).splitlines()[0]
        else:
            self._graph = graph
