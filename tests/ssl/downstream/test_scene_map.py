"""Maps of whole scenes: every pixel once, no seams, and the scene's own place; kept networks say what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import torch
import torch.nn.functional as F
from PIL import Image

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C
from geozoo.eo.tiles import Grid, Raster, Tile
from geozoo.errors import DamagedZooError, InputError
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.predictor import keep_best, open_predictor
from geozoo.ssl.downstream.rows import Row, RowResult, run_row
from geozoo.ssl.downstream.scene_map import palette, predict_strips, starts, write_map, write_preview
from geozoo.store import open_location
from tests.ssl.downstream.test_mask_labels import labels_experiment
from tests.support.eo_sets import draw_cover, draw_pair, ingest, write_dfc2020
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from geozoo.ssl.downstream.predictor import Predictor

HEIGHT, WIDTH = 75, 90
CRS, CORNER = "EPSG:32633", (400_000, 5_800_000)
RESNET = {"name": "resnet18", "options": {"channels": [8, 8, 8, 8], "output_stride": 8}}


def joined(
    logits: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], scene: np.ndarray[Any, Any], size: int, stride: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Classes and probabilities of a whole scene ``[bands, height, width]``."""
    asked: list[int] = []

    def read(first: int, rows: int) -> dict[str, np.ndarray[Any, Any]]:
        asked.append(rows)
        return {"s1": scene[:, first : first + rows]}

    strips = list(predict_strips(logits, read, Grid(*scene.shape[1:]), size, stride))
    assert set(asked) == {size}, "memory would not be bounded"
    assert [strip.row for strip in strips] == np.cumsum([0, *(len(one.classes) for one in strips[:-1])]).tolist()
    return np.concatenate([one.classes for one in strips]), np.concatenate([one.probability for one in strips])


def pointwise(pixels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([pixels["s1"], -pixels["s1"], pixels["s1"].square() - 0.3], dim=1)


def smoothing(pixels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Sees nine pixels around, and zeros beyond the edges of its tile, as networks with padding do."""
    return pointwise({"s1": F.avg_pool2d(pixels["s1"], 9, stride=1, padding=4)})


def waves(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray[Any, Any]:
    down, right = np.mgrid[:height, :width]
    return (np.sin(down / 9) * np.cos(right / 7))[None].astype(np.float32)


@pytest.mark.parametrize(("size", "stride"), [(16, 8), (16, 16), (32, 11), (75, 30)])
def test_what_looks_at_pixels_alone_maps_as_in_one_piece(size: int, stride: int) -> None:
    scene = waves()
    whole = pointwise({"s1": torch.from_numpy(scene)[None]})[0].softmax(0).max(0)
    classes, probability = joined(pointwise, scene, size, stride)
    assert classes.shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(classes, whole.indices.numpy())
    np.testing.assert_allclose(probability, whole.values.numpy(), atol=1e-5)


def test_tiles_of_other_sizes_leave_no_seams() -> None:
    scene = waves()
    small, large = (joined(smoothing, scene, size, size // 2)[1] for size in (32, 48))
    inside = (slice(8, -8), slice(8, -8))
    whole = joined(smoothing, scene, 75, 75)[1][inside]
    assert np.abs(small[inside] - large[inside]).max() < 0.01
    assert np.abs(small[inside] - whole).max() < 0.01
    side_by_side = joined(smoothing, scene, 32, 32)[1][inside]
    assert np.abs(side_by_side - whole).max() > 0.05, "there were no seams to remove"


def test_one_answer_a_tile_is_blended_over_it() -> None:
    scene = np.repeat(np.linspace(-3, 3, 96, dtype=np.float32)[None, :], 32, 0)[None]
    classes, probability = joined(lambda pixels: pointwise(pixels).mean((2, 3))[:, :2], scene, 32, 8)
    assert classes[:, :40].min() == 1
    assert classes[:, -40:].max() == 0
    assert (np.diff(probability[16, :40]) <= 1e-6).all()


def test_tiles_reach_the_edges() -> None:
    assert starts(75, 32, 16) == [0, 16, 32, 43]
    assert starts(64, 32, 16) == [0, 16, 32]
    assert starts(32, 32, 16) == [0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, list[RowResult], str]:
    """The best of three rows on every pixel of made-up DFC2020."""
    folder = tmp_path_factory.mktemp("dfc")
    chips = ingest(write_dfc2020(folder / "files"), folder / "chips")
    views = {
        "s1": {"bands": {"s1": "all"}, "encoder": RESNET},
        "s2": {"bands": {"s2": ["B02", "B8A"]}, "encoder": RESNET},
    }
    fit = {"updates": 60, "batch_size": 8, "learning_rates": [1e-4, 1e-2], "probe_rates": [1e-2, 1e-1]}
    fields = {"task": "segmentation", "views": views, "fit": fit, "augmentation": {"crop": 24, "flip": True}}
    bench = open_bench(labels_experiment(chips, methods=["scratch", "random_probe"], **fields))
    rows = [Row(method="scratch", fraction=1.0, seed=0), Row(method="random_probe", fraction=1.0, seed=0)]
    results = [run_row(bench, row) for row in rows]
    url = str(folder / "kept")
    keep_best(bench, results, open_location(url))
    return open_predictor(url), results, url


def test_the_kept_network_scores_what_its_row_did(kept: tuple[Predictor, list[RowResult], str]) -> None:
    predictor, results, _ = kept
    best = max(results, key=lambda one: one.chosen.validation.main)
    card = predictor.card
    assert (card.row, card.rate) == (best.row, best.chosen.rate)
    assert (card.validation, card.test) == (best.chosen.validation, best.chosen.test)
    assert predictor.bands == {"s1": SENTINEL1, "s2": ("B02", "B8A")}
    assert card.size == 24


def test_a_damaged_or_missing_network_is_refused(kept: tuple[Predictor, list[RowResult], str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no predictor"):
        open_predictor(tmp_path)
    (tmp_path / "predictor.json").write_bytes(open_location(kept[2]).read("predictor.json"))
    with pytest.raises(DamagedZooError, match="cannot be used"):
        open_predictor(tmp_path)


def write_scene(folder: Path, crs: str | None = CRS, sensor: str = "s2l1c") -> tuple[Tile, np.ndarray[Any, Any]]:
    """A scene of many squares, of which a corner was not measured, and its codes."""
    cover = np.kron(draw_cover(5, 16), np.ones((6, 6)))[:HEIGHT, :WIDTH].astype("uint16")
    pair = draw_pair(cover, 5)
    pair["s2"][:, :20, :30] = 0
    rasters = {}
    for name, sort, bands in (("s1", "s1", SENTINEL1), ("s2", sensor, SENTINEL2_L1C)):
        file = write_raster(folder / name / "scene.tif", pair[name], crs=crs, corner=CORNER)
        rasters[name] = Raster.of_file(sort, file, bands)
    return Tile("scene", rasters, "scene"), cover


def test_a_map_lies_where_its_scene_does(kept: tuple[Predictor, list[RowResult], str], tmp_path: Path) -> None:
    scene, cover = write_scene(tmp_path)
    file, likely = tmp_path / "map.tif", tmp_path / "likely.tif"
    told: list[tuple[int, int]] = []
    write_map(kept[0], scene, file, likely, on_rows=lambda *rows: told.append(rows))
    with rasterio.open(file) as found, rasterio.open(scene.rasters["s1"].files[0].path) as source:
        assert (found.crs, found.transform, found.shape) == (source.crs, source.transform, source.shape)
        assert (found.dtypes, found.nodata) == (("uint8",), 255)
        classes = found.read(1)
        assert {number: found.colormap(1)[number] for number in range(8)} == palette(8)
        assert found.tags()["CLASS_7"] == "Water"
    unmeasured = np.zeros((HEIGHT, WIDTH), bool)
    unmeasured[:20, :30] = True
    np.testing.assert_array_equal(classes == 255, unmeasured)
    truth = np.vectorize({2: 1, 4: 2, 6: 4, 7: 5, 10: 7}.__getitem__)(cover)
    assert (classes == truth)[~unmeasured].mean() > 0.88  # 0.82 of it is one class
    with rasterio.open(likely) as found:
        probability = found.read(1)
    np.testing.assert_array_equal(np.isnan(probability), unmeasured)
    assert 1 / 8 <= np.nanmin(probability) <= np.nanmax(probability) <= 1
    assert told[-1] == (HEIGHT, HEIGHT)
    write_preview(file, tmp_path / "map.png", most=45)
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (45, 38)
        assert picture.getpixel((1, 1))[3] == 0  # type: ignore[index]
        middle = found_class(classes, 60, 80)
        assert picture.getpixel((40, 30)) in {palette(8)[number] for number in middle}


def found_class(classes: np.ndarray[Any, Any], row: int, column: int) -> set[int]:
    return set(classes[row - 2 : row + 3, column - 2 : column + 3].ravel().tolist())


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_scenes_that_do_not_fit(kept: tuple[Predictor, list[RowResult], str], tmp_path: Path) -> None:
    predictor, file = kept[0], tmp_path / "map.tif"
    other, _ = write_scene(tmp_path / "l2a", sensor="s2l2a")
    with pytest.raises(InputError, match=r"s2 of scene scene is s2l2a, but .* learned from s2l1c"):
        write_map(predictor, other, file)
    scene, _ = write_scene(tmp_path / "plain", crs=None)
    with pytest.raises(InputError, match="leave gaps"):
        write_map(predictor, scene, file, stride=25)
    with pytest.raises(InputError, match="has no s2"):
        write_map(predictor, Tile("scene", {"s1": scene.rasters["s1"]}, "scene"), file)
    small = write_raster(tmp_path / "small.tif", np.ones((2, 20, 40), "float32"))
    tile = Tile("small", {"s1": Raster.of_file("s1", small, SENTINEL1), "s2": scene.rasters["s2"]}, "small")
    with pytest.raises(InputError, match="has 20x40 pixels, less than the 24"):
        write_map(predictor, tile, file)
    assert not file.exists()
    write_map(predictor, scene, file)
    with rasterio.open(file) as found:
        assert found.crs is None
        assert found.shape == (HEIGHT, WIDTH)
