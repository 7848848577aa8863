from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geozoo.ssl.stream import ChipStream
from geozoo.training.distributed import World

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips

ROWS = np.array([0, 3, 4, 7, 8, 9, 12, 15, 20, 21, 23])
BANDS = {"s2": ("B04",), "s1": ("VV", "VH")}


def stream(chips: Chips, world: World | None = None, resident: int = 2**30, seed: int | None = 5) -> ChipStream:
    return ChipStream(chips, ROWS, BANDS, 4, world or World(), seed, resident_bytes=resident)


@pytest.mark.parametrize("resident", [0, 2**30])
def test_every_chip_comes_once_an_epoch_with_its_pixels(chips: Chips, resident: int) -> None:
    seen = []
    for batch in stream(chips, resident=resident).epoch(0):
        seen += batch.rows.tolist()
        numbers = batch.pixels["s2"][:, 0, 0, 0] - 1  # B04 holds the number of the tile
        assert numbers.tolist() == batch.rows.tolist()
        np.testing.assert_array_equal(batch.pixels["s1"].numpy(), chips.read("s1", batch.rows))
    assert sorted(seen) == ROWS.tolist()


def test_epochs_differ_and_come_again(chips: Chips) -> None:
    orders = [[row for batch in stream(chips).epoch(epoch) for row in batch.rows.tolist()] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert [row for batch in stream(chips, seed=None).epoch(3) for row in batch.rows] == ROWS.tolist()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_workers_share_the_batches_of_one(chips: Chips, size: int) -> None:
    alone = list(stream(chips).epoch(1))
    parts = [list(stream(chips, World(rank, size)).epoch(1)) for rank in range(size)]
    for number, batch in enumerate(alone):
        shared = [part[number] for part in parts]
        assert [one.total for one in shared] == [batch.total] * size
        assert np.concatenate([one.rows for one in shared]).tolist() == batch.rows.tolist()
        torch.testing.assert_close(torch.cat([one.pixels["s1"] for one in shared]), batch.pixels["s1"])
