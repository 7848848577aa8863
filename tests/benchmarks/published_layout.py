"""The layout of the published zoos, one directory of ``torch.save``d files per checkpoint, on a disk or on S3."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import torch

from geozoo.nets import unflatten

if TYPE_CHECKING:
    from geozoo.store import Zoo

THREADS = 8


class PublishedLayout:
    """Members of a zoo written the published way below a folder or an ``s3://`` prefix.

    ``state`` reads one state; ``together`` reads several, from S3 eight at a time, from a disk one by one, which is
    faster there: decoding them holds the interpreter.
    """

    def __init__(self, url: str, zoo: Zoo, endpoint: str | None = None) -> None:
        self.ids = list(zoo.members["member"])
        self.layout = zoo.layout
        self.url = url
        options = {"endpoint_url": endpoint, "use_listings_cache": False} if endpoint else {}
        self.threads = THREADS if endpoint else 1
        self.files = fsspec.filesystem("s3" if endpoint else "file", **options)

    def write(self, weights: np.ndarray[Any, Any]) -> None:
        """Write the first members, whose weights are ``[members, checkpoints, params]``."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda at: self._write(*at, weights[at]), np.ndindex(weights.shape[:2])))

    def state(self, member: int, step: int) -> np.ndarray[Any, Any]:
        """Weights ``[params]``."""
        state = torch.load(io.BytesIO(self.files.cat_file(self._path(member, step, "checkpoints"))), weights_only=True)
        return torch.cat([tensor.flatten() for tensor in state.values()]).numpy()

    def together(self, states: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
        """Weights ``[states, params]``."""
        if self.threads == 1:
            return np.stack([self.state(*at) for at in states])
        with ThreadPoolExecutor(self.threads) as pool:
            return np.stack(list(pool.map(lambda at: self.state(*at), states)))

    def _path(self, member: int, step: int, name: str) -> str:
        return f"{self.url}/NN_tune_trainable_{self.ids[member]}/checkpoint_{step:06d}/{name}"

    def _write(self, member: int, step: int, vector: np.ndarray[Any, Any]) -> None:
        state = {name: tensor.clone() for name, tensor in unflatten(torch.from_numpy(vector), self.layout).items()}
        moments = {name: {"exp_avg": tensor, "exp_avg_sq": tensor} for name, tensor in state.items()}
        self.files.makedirs(self._path(member, step, "").rstrip("/"), exist_ok=True)
        for name, what in {"checkpoints": state, "optimizer": moments}.items():
            file = io.BytesIO()
            torch.save(what, file)
            self.files.pipe_file(self._path(member, step, name), file.getvalue())
