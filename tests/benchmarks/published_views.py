"""Two augmented views of every state the published way: a pickled data set with index lists made in advance."""

from __future__ import annotations

import pickle
import random
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset

from geozoo.weights.permutation import draw_permutations, permute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from geozoo.weights.symmetry import Symmetry

_CHUNK = 500


def write_data_set(path: Path, weights: Tensor, symmetry: Symmetry, permutations: int) -> None:
    """Pickle a list of state vectors and ``permutations`` lists of where each of their scalars comes from."""
    indices: list[list[int]] = []
    generator = torch.Generator().manual_seed(0)
    places = torch.arange(weights.shape[1], dtype=torch.float64).expand(_CHUNK, -1)
    while len(indices) < permutations:
        indices += permute(places, symmetry, draw_permutations(symmetry, _CHUNK, generator)).long().tolist()
    with path.open("wb") as file:
        pickle.dump({"data_in": [state.clone() for state in weights], "permutations": indices[:permutations]}, file)


class PublishedViews(Dataset[Any]):
    """An item is a state in two views, each permuted by a list drawn from those there are, then erased in a block.

    Erasing: with probability one half, of a fraction between 2 % and 33 %, placed by up to ten tries.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            content = pickle.load(file)
        self._states, self._indices = content["data_in"], content["permutations"]

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        return self._view(item), self._view(item)

    def _view(self, item: int) -> Tensor:
        view = self._states[item][random.choice(self._indices)]
        if random.random() < 0.5:
            for _ in range(10):
                length = int(random.uniform(0.02, 0.33) * len(view))
                start = random.randrange(len(view))
                if start + length <= len(view):
                    view[start : start + length] = 0.0
                    break
        return view


def published_batches(path: Path, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one pass, shuffled."""
    yield from DataLoader(PublishedViews(path), batch_size, shuffle=True)
