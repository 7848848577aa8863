from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geozoo.ssl.collapse import alignment, effective_rank, spread, uniformity
from tests.support.embeddings import two_views

AXES = torch.cat([torch.eye(4), -torch.eye(4)]).double()
"""Both ends of every axis: spread evenly over the sphere."""


def test_spread_is_1_on_the_whole_sphere_and_0_in_a_point() -> None:
    assert float(spread(AXES * torch.arange(1, 9)[:, None])) == pytest.approx(1)
    assert float(spread(torch.ones(5, 4) * torch.arange(1, 6)[:, None])) == pytest.approx(0, abs=1e-6)
    gaussian = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    assert float(spread(gaussian)) == pytest.approx(1, abs=0.01)


def test_spread_is_that_of_numpy() -> None:
    rows = two_views()[0].numpy()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert float(spread(two_views()[0])) == pytest.approx(unit.std(0).mean() * 2)


def test_the_effective_rank_of_equal_singular_values_is_their_number() -> None:
    orthogonal = torch.linalg.qr(two_views(6, 4)[0]).Q
    assert float(effective_rank(orthogonal)) == pytest.approx(4)
    assert float(effective_rank(torch.outer(torch.arange(1, 7), torch.arange(1, 5)))) == pytest.approx(1, abs=1e-4)


def test_the_effective_rank_of_a_diagonal_matrix_has_a_closed_form() -> None:
    shares = [0.5, 0.25, 0.25, 0.0]
    entropy = -sum(share * math.log(share) for share in shares if share)
    assert float(effective_rank(torch.diag(torch.tensor(shares, dtype=torch.float64)))) == pytest.approx(
        math.exp(entropy)
    )


def test_alignment_is_0_for_equal_directions_and_4_for_opposite_ones() -> None:
    first, second = two_views()
    assert float(alignment(first, 3 * first)) == pytest.approx(0, abs=1e-12)
    assert float(alignment(first, -first)) == pytest.approx(4)
    units = [view / view.norm(dim=1, keepdim=True) for view in (first, second)]
    cosines = [float(a @ b) for a, b in zip(*units, strict=True)]
    assert float(alignment(first, second)) == pytest.approx(2 - 2 * sum(cosines) / len(cosines))


def test_uniformity_has_a_closed_form_on_the_axes() -> None:
    orthogonal, opposite = 24 * math.exp(-4), 4 * math.exp(-8)  # squared distances 2 and 4
    assert float(uniformity(2 * AXES)) == pytest.approx(math.log((orthogonal + opposite) / 28))
    assert float(uniformity(torch.ones(5, 4))) == pytest.approx(0, abs=1e-6)
    assert math.isnan(float(uniformity(torch.ones(1, 4))))


def test_metrics_carry_no_gradient_and_leave_bfloat16() -> None:
    rows = two_views()[0].bfloat16().requires_grad_()
    for value in (spread(rows), effective_rank(rows), alignment(rows, rows), uniformity(rows)):
        assert value.dtype == torch.float32
        assert not value.requires_grad
