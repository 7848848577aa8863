from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.errors import InputError
from geozoo.ssl.losses import spatial
from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import MmaOptions
from geozoo.ssl.losses.spatial import map_contrast, map_similarity
from tests.support.embeddings import two_maps


def similarity(first: Tensor, second: Tensor, overlap: str) -> float:
    """Largest correlation of two maps ``[c, h, w]`` by loops over shifts and positions."""
    (height, width), (rows, columns) = first.shape[1:], second.shape[1:]
    if overlap == "full":
        shifts = [(y, x) for y in range(1 - rows, height) for x in range(1 - columns, width)]
    else:
        shifts = [(y, x) for y in range(height - rows + 1) for x in range(width - columns + 1)]
    largest = -math.inf
    for y, x in shifts:
        total = 0.0
        for i in range(rows):
            for j in range(columns):
                if 0 <= y + i < height and 0 <= x + j < width:
                    a, b = first[:, y + i, x + j], second[:, i, j]
                    total += float(a @ b / (a.norm() * b.norm()))
        largest = max(largest, total)
    return largest / (rows * columns)


@pytest.mark.parametrize("at_once", [1, 100, 2**20])
@pytest.mark.parametrize("overlap", ["full", "none"])
def test_similarity_is_that_of_loops(overlap: Any, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "AT_ONCE", at_once)
    first, second = two_maps()
    for larger, smaller in ((first, second), (first, second[:2, :, :2, :3])):
        expected = [[similarity(a, b, overlap) for b in smaller] for a in larger]
        ours = map_similarity(larger, smaller, overlap)
        torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)


def test_full_overlap_is_a_padded_convolution() -> None:
    first, second = (F.normalize(maps, dim=1) for maps in two_maps(4, 3, 5, 6))
    maps = F.conv2d(first, second, padding=(4, 5)) / 30
    torch.testing.assert_close(map_similarity(first, second), maps.flatten(2).max(2).values, rtol=1e-10, atol=1e-12)


def test_a_shifted_map_is_found_where_it_overlaps() -> None:
    maps = torch.randn(1, 16, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = torch.roll(maps, 1, dims=3)
    assert float(map_similarity(maps, maps)) == pytest.approx(1)
    assert float(map_similarity(maps, shifted)) == pytest.approx(5 / 6, abs=0.05)
    assert float(map_similarity(maps, shifted, "none")) < 0.3


def test_mma_is_the_nce_of_rows_and_columns() -> None:
    first, second = two_maps()
    scores = [[math.exp(similarity(a, b, "full") / 0.2) for b in second] for a in first]
    losses = []
    for i in range(len(first)):
        losses.append(-math.log(scores[i][i] / sum(scores[i])))
        losses.append(-math.log(scores[i][i] / sum(row[i] for row in scores)))
    ours = make_loss(MmaOptions(temperature=0.2))(first, second)["loss"]
    assert float(ours) == pytest.approx(sum(losses) / len(losses), rel=1e-10)


def test_the_contrast_of_a_flat_matrix_is_that_of_chance() -> None:
    assert float(map_contrast(torch.full((5, 5), 0.3), 0.1)) == pytest.approx(math.log(5))


@pytest.mark.parametrize("overlap", ["full", "none"])
def test_gradients_are_those_of_finite_differences(overlap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "AT_ONCE", 100)
    loss = make_loss(MmaOptions.model_validate({"overlap": overlap}))
    views = [view.requires_grad_() for view in two_maps(2, 2, 2, 3)]
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b)["loss"], views)


def kept_for_backward(at_once: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of all tensors that are kept."""
    monkeypatch.setattr(spatial, "AT_ONCE", at_once)
    kept = dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    first, second = (maps.requires_grad_() for maps in two_maps(48, 4, 6, 6))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        similarities = map_similarity(first, second)
        total = sum(kept.values())
    similarities.sum().backward()
    return total


def test_memory_does_not_grow_with_the_number_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    correlations = 48 * 48 * 11 * 11 * 8
    whole, chunked = (kept_for_backward(at_once, monkeypatch) for at_once in (2**23, 1))
    assert chunked == pytest.approx(whole, rel=0.2)
    assert whole < correlations / 2


@pytest.mark.parametrize("overlap", ["full", "none"])
def test_maps_in_bfloat16_are_compared_in_float32(overlap: Any) -> None:
    first, second = (maps.bfloat16() for maps in two_maps())
    with torch.autocast("cpu", torch.bfloat16):
        under = map_similarity(first, second, overlap)
    assert under.dtype == torch.float32
    assert torch.equal(under, map_similarity(first.float(), second.float(), overlap))


def test_maps_that_do_not_fit_are_refused() -> None:
    first, second = two_maps()
    with pytest.raises(InputError, match="same number of output channels"):
        map_similarity(first[:, :1], second)
    with pytest.raises(InputError, match=re.escape("second maps of (3, 4) do not fit into first ones of (2, 4)")):
        map_similarity(first[:, :, :2], second, "none")
