from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geozoo.ssl.scale import ChipMaxScale, DatasetScale, measure_bands

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips


def test_bands_are_measured_over_the_rows_alone(chips: Chips) -> None:
    rows = np.array([1, 4, 9])
    mean, std = measure_bands(chips, rows, {"s2": ("B08", "B02"), "s1": ("VH",)}, seed=0)
    optical, radar = chips.read("s2", rows, ("B08", "B02")), chips.read("s1", rows, ("VH",))
    values = [optical[:, 0].astype(float), optical[:, 1].astype(float), radar[:, 0].astype(float)]
    np.testing.assert_allclose(mean, [value.mean() for value in values], rtol=1e-6)
    np.testing.assert_allclose(std, [value.std() for value in values], rtol=1e-6)


def test_what_was_not_measured_becomes_the_mean() -> None:
    scale = DatasetScale(torch.tensor([2.0, 3.0]), torch.tensor([0.5, 4.0]))
    scaled = scale(torch.tensor([[[[2.5]], [[torch.nan]]]]))
    assert scaled.flatten().tolist() == [1.0, 0.0]


def test_the_published_scaling_by_hand() -> None:
    radar = torch.tensor([[-30.0, -25.0], [-5.0, 3.0]])
    optical = torch.tensor([[0.0, 5000.0], [12_000.0, 2500.0]])
    scaled = ChipMaxScale([True, False])(torch.stack([radar, optical])[None])[0]
    torch.testing.assert_close(scaled[0], torch.tensor([[0.0, 0.0], [20.0, 25.0]]) / (25 + 1e-5))
    torch.testing.assert_close(scaled[1], torch.tensor([[0.0, 5000.0], [10_000.0, 2500.0]]) / (10_000 + 1e-5))
