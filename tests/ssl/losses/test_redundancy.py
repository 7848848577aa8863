from __future__ import annotations

import numpy as np
import pytest
import torch

from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import BarlowTwinsOptions, VicRegOptions
from tests.support.embeddings import two_views

PLACES, WIDTH = 7, 4


def views() -> tuple[np.ndarray, np.ndarray]:
    first, second = two_views(PLACES, WIDTH)
    return first.numpy(), second.numpy()


def test_barlow_twins_is_the_papers() -> None:
    first, second = ((view - view.mean(0)) / np.sqrt(view.var(0) + 1e-5) for view in views())
    total = 0.0
    for i in range(WIDTH):
        for j in range(WIDTH):
            correlation = sum(first[n, i] * second[n, j] for n in range(PLACES)) / PLACES
            total += (1 - correlation) ** 2 if i == j else 0.02 * correlation**2
    ours = make_loss(BarlowTwinsOptions(redundancy=0.02))(*two_views(PLACES, WIDTH))["loss"]
    assert float(ours) == pytest.approx(total, rel=1e-10)


def test_vicreg_is_the_authors() -> None:
    def variance(view: np.ndarray) -> float:
        return float(np.mean([max(0, 1 - np.sqrt(view[:, d].var(ddof=1) + 1e-4)) for d in range(WIDTH)]))

    def covariance(view: np.ndarray) -> float:
        matrix = np.cov(view, rowvar=False)
        return sum(matrix[i, j] ** 2 for i in range(WIDTH) for j in range(WIDTH) if i != j) / WIDTH

    first, second = (0.5 * view for view in views())
    assert variance(first) > 0.01
    expected = 20 * ((first - second) ** 2).mean() + 10 * (variance(first) + variance(second)) / 2
    expected += 3 * (covariance(first) + covariance(second))
    loss = make_loss(VicRegOptions(invariance=20, variance=10, covariance=3))
    assert float(loss(*map(torch.from_numpy, (first, second)))["loss"]) == pytest.approx(expected, rel=1e-10)


def test_decorrelated_equal_views_have_the_least_losses() -> None:
    corners = torch.tensor([[a, b] for a in (-1, 1) for b in (-1, 1)], dtype=torch.float64)
    assert float(make_loss(BarlowTwinsOptions())(corners, corners)["loss"]) < 1e-9  # 1e-5 is added to the variances
    assert float(make_loss(VicRegOptions())(corners, corners)["loss"]) == 0
