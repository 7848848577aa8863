"""The weights of a zoo as a read-only array."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Indices = np.ndarray[Any, np.dtype[np.intp]]


class Weights:
    """``[members, checkpoints, params]``, rows as in ``zoo.members``, indexed as numpy would be; nothing is kept.

    ``weights[rows, checkpoints]`` takes integers, slices, lists and boolean masks and yields a new array of the stored
    dtype. A third index selects among the parameters after whole states were read.

    Raises:
        NotCommittedError: a member asked for is not committed; it never reads as zeros.
        DamagedZooError: stored bytes are missing or fail their checksum.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        read: Callable[[Indices, Indices], np.ndarray[Any, Any]],
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._read = read

    @property
    def ndim(self) -> int:
        """Three."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the whole array in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Weights(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        key = key if isinstance(key, tuple) else (key,)
        plain = len(key) == 3 and not any(part is Ellipsis or part is None for part in key[:2])
        states, parameters = (key[:2], key[2]) if plain else (key, slice(None))
        grid = self.shape[:2]
        try:
            rows = np.broadcast_to(np.arange(grid[0])[:, None], grid)[states]
            checkpoints = np.broadcast_to(np.arange(grid[1]), grid)[states]
        except IndexError as error:
            raise InputError(f"{key} does not index weights of shape {self.shape}: {error}.") from error
        flat = self._read(np.ravel(rows), np.ravel(checkpoints))
        return flat.reshape(*np.shape(rows), self.shape[2])[..., parameters]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise InputError("the weights of a zoo cannot become an array without a copy: leave out copy=False.")
        return np.asarray(self[:], dtype=dtype)
