from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from geozoo.ssl.knn import knn_predict


@pytest.mark.parametrize("neighbours", [1, 7])
def test_votes_are_those_of_scikit_learn(neighbours: int) -> None:
    generator = torch.Generator().manual_seed(0)
    bank, queries = torch.randn(60, 5, generator=generator), torch.randn(40, 5, generator=generator)
    classes = torch.randint(0, 4, (60,), generator=generator)
    unit = torch.nn.functional.normalize
    # Among unit vectors the squared distance is 2 - 2 cosine.
    reference = KNeighborsClassifier(neighbours, weights=lambda distance: np.exp((1 - distance**2 / 2) / 0.07))
    reference.fit(unit(bank).numpy(), classes.numpy())
    expected = reference.predict(unit(queries).numpy())
    assert knn_predict(bank, classes, queries, neighbours).tolist() == expected.tolist()


def test_a_small_bank_votes_whole() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert knn_predict(bank, torch.tensor([2, 0]), torch.tensor([[0.9, 0.1]]), 20).tolist() == [2]
