"""Orders of an epoch: each chip once, shared out without overlap, found again; areas against shapely and TorchGeo."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torchgeo.datasets import RasterDataset
from torchgeo.samplers import GridGeoSampler, RandomGeoSampler, Units

from geozoo.eo.chips import samplers
from geozoo.eo.tiles import Collection
from geozoo.training.distributed import World, share
from tests.support.chip_stores import draw_modality, ingest, make_tile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Order = Callable[[np.ndarray[Any, Any], int, int], np.ndarray[Any, Any]]

ORDERS: dict[str, Order] = {
    "grid": lambda scenes, seed, epoch: samplers.grid(len(scenes)),
    "shuffled": lambda scenes, seed, epoch: samplers.shuffled(len(scenes), seed, epoch),
    "by_scene": lambda scenes, seed, epoch: samplers.by_scene(scenes, seed, epoch, pool=7),
    "weighted": lambda scenes, seed, epoch: samplers.area_weighted(scenes + 1.0, seed, epoch, replacement=False),
}
scene_lists = st.lists(st.integers(0, 5), max_size=60).map(lambda one: np.array(one, np.int64))
numbers = st.integers(0, 2**31)


@pytest.mark.parametrize("name", ORDERS)
@given(scenes=scene_lists, seed=numbers, epoch=numbers)
def test_every_chip_comes_once_and_again_for_the_same_seed(
    name: str, scenes: np.ndarray[Any, Any], seed: int, epoch: int
) -> None:
    order = ORDERS[name](scenes, seed, epoch)
    assert sorted(order.tolist()) == list(range(len(scenes)))
    assert ORDERS[name](scenes, seed, epoch).tolist() == order.tolist()


@given(st.integers(0, 50), st.integers(1, 12), st.integers(1, 6), numbers)
def test_workers_share_an_epoch(count: int, batch_size: int, workers: int, seed: int) -> None:
    """By the rule that training gathers by: no place twice, none left out, and in order they are the batch of one."""
    order = samplers.shuffled(count, seed, 0)
    seen: list[int] = []
    for batch in range(-(-count // batch_size)):
        parts = [samplers.batch_rows(order, batch, batch_size, rank, workers) for rank in range(workers)]
        whole = samplers.batch_rows(order, batch, batch_size)
        assert np.concatenate(parts).tolist() == whole.tolist()
        for rank, part in enumerate(parts):
            assert part.tolist() == whole[share(len(whole), World(rank, workers))].tolist()
        seen += whole.tolist()
    assert seen == order.tolist()


def test_epochs_and_seeds_differ() -> None:
    scenes = np.repeat(np.arange(8), 5)
    for name, order in ORDERS.items():
        orders = {tuple(order(scenes, seed, epoch)) for seed, epoch in ((0, 0), (0, 1), (1, 0))}
        assert len(orders) == (1 if name == "grid" else 3)


@given(scene_lists, numbers, st.integers(1, 70))
def test_by_scene_reads_scene_after_scene(scenes: np.ndarray[Any, Any], seed: int, pool: int) -> None:
    """Undoing the shuffle of a pool, chips of one scene follow each other as they are stored."""
    order = samplers.by_scene(scenes, seed, 0, pool)
    single = samplers.by_scene(scenes, seed, 0, 1)
    for start in range(0, len(order), pool):
        assert sorted(order[start : start + pool]) == sorted(single[start : start + pool])
    runs = [scenes[place] for at, place in enumerate(single) if at == 0 or scenes[place] != scenes[single[at - 1]]]
    assert len(runs) == len(set(scenes.tolist()))
    for scene in set(runs):
        there = single[scenes[single] == scene]
        assert there.tolist() == sorted(there)


def test_all_orders_of_scenes_and_chips_are_as_likely() -> None:
    first = Counter(int(samplers.by_scene([0, 0, 1, 1, 2, 2], 0, epoch, pool=2)[0]) for epoch in range(3000))
    assert chisquare([first[place] for place in range(6)]).pvalue > 1e-3


@pytest.mark.parametrize("replacement", [True, False])
def test_draws_are_in_proportion_to_area(replacement: bool) -> None:
    """The first draw is as the areas are, and the second, where nothing comes again, as what is left."""
    areas = np.array([1.0, 2.0, 3.0, 6.0])
    pairs = np.array([samplers.area_weighted(areas, 3, epoch, replacement=replacement)[:2] for epoch in range(4000)])
    expected = np.zeros((4, 4))
    for one in range(4):
        for other in range(4):
            rest = areas.sum() - (0 if replacement else areas[one])
            expected[one, other] = areas[one] / areas.sum() * areas[other] / rest
    if not replacement:
        np.fill_diagonal(expected, 0)
    counts = np.zeros((4, 4))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    assert (counts[expected == 0] == 0).all()
    assert chisquare(counts[expected > 0], 4000 * expected[expected > 0]).pvalue > 1e-3


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25), st.integers(1, 12))
def test_covered_ground_is_the_union_of_the_chips(corners: list[tuple[int, int]], size: int) -> None:
    index = pd.DataFrame(corners, columns=["row", "column"]).assign(tile="t", area=100.0 * size * size)
    areas = samplers.chip_areas(index, size)
    union = shapely.union_all([shapely.box(x, y, x + size, y + size) for y, x in corners])
    assert areas.sum() == pytest.approx(100 * union.area)
    assert np.ptp(areas) == 0


def test_ground_is_counted_in_pixels_where_a_place_is_missing() -> None:
    index = pd.DataFrame({"tile": ["a", "b"], "row": 0, "column": 0, "area": [1.0, np.nan]})
    assert samplers.chip_areas(index, 4).tolist() == [16, 16]


class Scenes(RasterDataset):
    filename_glob = "*.tif"
    is_image = True


@pytest.fixture
def scenes(tmp_path: Path) -> Collection:
    """Two scenes, of 24x40 and 48x80 pixels, far from each other."""
    tiles = [
        make_tile(tmp_path, "small", {"s1": draw_modality("s1", 24, 40)}),
        make_tile(tmp_path, "large", {"s1": draw_modality("s1", 48, 80)}, corner=(600_000, 5_300_000)),
    ]
    return Collection("two", tuple(tiles))


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_chips_are_where_torchgeos_grid_has_them(tmp_path: Path, scenes: Collection) -> None:
    """TorchGeo's grid also has partial chips at the right and lower edges; the whole ones are ours."""
    index = ingest(scenes, str(tmp_path / "chips"), size=16, stride=8).index
    theirs = set()
    for query in GridGeoSampler(Scenes(tmp_path / "s1"), size=16, stride=8, units=Units.PIXELS):
        x, y = query[0], query[1]
        theirs.add((x.start, y.start, x.stop, y.stop))
    ours = [tuple(bounds) for bounds in index["bounds"].iloc[samplers.grid(len(index))]]
    assert len(ours) == 2 * 4 + 5 * 9
    assert set(ours) <= theirs


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_scenes_are_drawn_as_often_as_torchgeo_draws_them(tmp_path: Path, scenes: Collection) -> None:
    """In proportion to their area, 1 to 4, though of the chips, which overlap, there are 1 to 5.6."""
    index = ingest(scenes, str(tmp_path / "chips"), size=16, stride=8).index
    areas = samplers.chip_areas(index, 16)
    large = (index["scene"] == "large").to_numpy()
    assert large.sum() / (~large).sum() == 45 / 8
    assert areas[large].sum() / areas[~large].sum() == pytest.approx(4, rel=1e-3)
    ours = np.concatenate([large[samplers.area_weighted(areas, 0, epoch)] for epoch in range(40)]).mean()
    torch.manual_seed(0)
    queries = RandomGeoSampler(Scenes(tmp_path / "s1"), size=16, length=2000, units=Units.PIXELS)
    theirs = np.mean([query[0].start > 550_000 for query in queries])
    assert ours == pytest.approx(0.8, abs=0.03)
    assert theirs == pytest.approx(0.8, abs=0.03)
