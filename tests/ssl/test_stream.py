from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geozoo.ssl.stream import ChipStream
from geozoo.training.distributed import World

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips
    from geozoo.ssl.experiment import Sampler

ROWS = np.array([0, 3, 4, 7, 8, 9, 12, 15, 20, 21, 23])
BANDS = {"s2": ("B04",), "s1": ("VV", "VH")}


SAMPLERS: tuple[Sampler, ...] = ("shuffled", "by_scene", "area_weighted")


def stream(
    chips: Chips,
    world: World | None = None,
    resident: int = 2**30,
    seed: int | None = 5,
    sampler: Sampler = "shuffled",
) -> ChipStream:
    return ChipStream(chips, ROWS, BANDS, 4, world or World(), seed, sampler=sampler, resident_bytes=resident)


@pytest.mark.parametrize("resident", [0, 2**30])
def test_every_chip_comes_once_an_epoch_with_its_pixels(chips: Chips, resident: int) -> None:
    seen = []
    for batch in stream(chips, resident=resident).epoch(0):
        seen += batch.rows.tolist()
        numbers = batch.pixels["s2"][:, 0, 0, 0] - 1  # B04 holds the number of the tile
        assert numbers.tolist() == batch.rows.tolist()
        np.testing.assert_array_equal(batch.pixels["s1"].numpy(), chips.read("s1", batch.rows))
        assert batch.groups.tolist() == chips.index["label"].to_numpy()[batch.rows].tolist()
    assert sorted(seen) == ROWS.tolist()


def test_epochs_differ_and_come_again(chips: Chips) -> None:
    orders = [[row for batch in stream(chips).epoch(epoch) for row in batch.rows.tolist()] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert [row for batch in stream(chips, seed=None).epoch(3) for row in batch.rows] == ROWS.tolist()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("size", [2, 3, 5])
def test_workers_share_the_batches_of_one(chips: Chips, size: int, sampler: Sampler) -> None:
    alone = list(stream(chips, sampler=sampler).epoch(1))
    parts = [list(stream(chips, World(rank, size), sampler=sampler).epoch(1)) for rank in range(size)]
    for number, batch in enumerate(alone):
        shared = [part[number] for part in parts]
        assert [one.total for one in shared] == [batch.total] * size
        assert all(torch.equal(one.groups, batch.groups) for one in shared)
        assert np.concatenate([one.rows for one in shared]).tolist() == batch.rows.tolist()
        torch.testing.assert_close(torch.cat([one.pixels["s1"] for one in shared]), batch.pixels["s1"])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_epoch_goes_on_at_a_batch_without_reading_those_before(
    chips: Chips, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(stream(chips, resident=0, sampler=sampler).epoch(3))
    read: list[int] = []
    original = type(chips).read
    monkeypatch.setattr(
        type(chips), "read", lambda self, name, rows, bands=None: read.extend(rows) or original(self, name, rows, bands)
    )
    rest = list(stream(chips, resident=0, sampler=sampler).epoch(3, first=1))
    assert [one.rows.tolist() for one in rest] == [one.rows.tolist() for one in whole[1:]]
    torch.testing.assert_close(rest[0].pixels, whole[1].pixels)
    assert sorted(read) == sorted(row for one in whole[1:] for row in one.rows.tolist() for _ in BANDS)


def test_samplers_keep_to_the_rows(chips: Chips) -> None:
    """Each chip once, but that draws with replacement come again."""
    for sampler in SAMPLERS:
        rows = [row for batch in stream(chips, sampler=sampler).epoch(0) for row in batch.rows.tolist()]
        assert len(rows) == len(ROWS)
        assert set(rows) <= set(ROWS.tolist())
        assert (len(set(rows)) == len(rows)) == (sampler != "area_weighted")
