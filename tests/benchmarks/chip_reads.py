"""Reading patches in random order: the chip store against the GeoTIFFs it was cut from."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch import Tensor

from geozoo.eo.readers import find_collection
from geozoo.errors import DataNotFoundError
from tests.benchmarks.results import Result, baseline_cell, count, ratios
from tests.support.chip_stores import ingest
from tests.support.tiles import real

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torchgeo.datasets import GeoDataset

    from geozoo.eo.chips import Chips
    from geozoo.eo.tiles import Tile

SMALL, LARGE, REPEATS = 1000, 200, 5
MOST = 1000
"""Patches of a pass."""
OURS = "chip store"
EUROSAT = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif"
Reader = Callable[["Sequence[int]"], Tensor]


@dataclass(frozen=True)
class Case:
    """One kind of patch: how each side makes a float32 batch ``[n, bands, side, side]`` of the same numbers."""

    name: str
    patches: int
    batch: int
    readers: dict[str, Reader]


def measure() -> None:
    """Time every side of every case in turn, all on one core."""
    everywhere = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = _cases(folder)
        os.sched_setaffinity(0, {min(everywhere)})
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            rows = [row for case in cases for row in _rows(case)]
        finally:
            os.sched_setaffinity(0, everywhere)
            torch.set_num_threads(threads)
    note = (
        f"Real tiles, written again with noise: {SMALL:,} files of EuroSAT (13x64x64 uint16, not compressed, as "
        f"published) and {LARGE} of TerraMind's, mirrored to 256 pixels (S2 L1C 13 bands int16, S1 2 bands float32, "
        "deflate with predictor in strips, as they came). Each side makes float32 batches of 64 (256 pixels: 16) of "
        "the same numbers, which is checked, in the same random order; one process on one core, page cache warm, "
        f"{REPEATS} passes in turn: medians, with the quartiles in brackets. The chip store verifies the checksum of "
        "every chip and compresses nothing. TorchGeo: `EuroSAT`, and `RasterDataset` (the intersection of two for "
        "pairs) asked for the bounds of a patch; rasterio opens the file and reads the window."
    )
    Result("chip_reads", "Reading patches", ("patch", "read from", "patches/s", "chip store"), rows, (note,)).save()


def _rows(case: Case) -> list[list[str]]:
    some = list(range(min(4, case.patches)))
    batches = {name: read(some) for name, read in case.readers.items()}
    for name, batch in batches.items():
        torch.testing.assert_close(batch, batches[OURS], rtol=0, atol=0, msg=f"{name} of {case.name}")
    seconds: dict[str, list[float]] = {name: [] for name in case.readers}
    for repeat in range(REPEATS + 1):
        order = np.random.default_rng(repeat).permutation(case.patches)[:MOST]
        for name, read in case.readers.items():
            started = time.perf_counter()
            for start in range(0, len(order), case.batch):
                read(order[start : start + case.batch].tolist())
            if repeat:  # the first pass warms the page cache
                seconds[name].append(time.perf_counter() - started)
    rows = []
    for name, taken in seconds.items():
        faster = ratios(seconds[OURS], taken)
        rate = quartiles([min(case.patches, MOST) / one for one in taken], count)
        cells = [rate, ""] if name == OURS else [baseline_cell(rate, faster), quartiles(faster, lambda x: f"{x:.1f}x")]
        rows.append([case.name, name, *cells])
    return rows


def quartiles(values: Sequence[float], write: Callable[[float], str]) -> str:
    """The median, with the quartiles in brackets."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{write(median(values))} ({write(low)} to {write(high)})"


def _cases(folder: Path) -> list[Case]:
    from torchgeo.datasets import EuroSAT

    write_small(folder / "eurosat")
    write_large(folder / "tiles")
    small, large = find_collection(folder / "eurosat"), find_collection(folder / "tiles")
    eurosat = EuroSAT(str(folder / "eurosat"), split="train")
    places = {Path(file).stem: number for number, (file, _) in enumerate(eurosat.samples)}
    in_theirs = [places[tile.id] for tile in small.tiles]
    whole = ingest(large, str(folder / "chips256"), size=256)
    cut = ingest(large, str(folder / "chips64"), size=64)
    s1, s2 = (raster_dataset(folder / "tiles" / name) for name in ("s1", "s2"))
    files = [tile.rasters["s2"].files[0].path for tile in small.tiles]
    plain = [_uncompressed(tile.rasters["s2"].files[0].path, folder / "plain") for tile in large.tiles]
    return [
        Case(
            "13x64x64, a file each",
            SMALL,
            64,
            {
                OURS: from_chips(ingest(small, str(folder / "small"), size=64), ["s2"]),
                "TorchGeo": lambda rows: torch.stack([eurosat[in_theirs[row]]["image"] for row in rows]),
                "rasterio": lambda rows: torch.stack([read_file(files[row]) for row in rows]),
            },
        ),
        Case(
            "13x256x256, a file each",
            LARGE,
            16,
            {
                OURS: from_chips(whole, ["s2"]),
                "TorchGeo": from_bounds(s2, whole),
                "rasterio": from_windows(large.tiles, whole, ["s2"]),
                "rasterio, files not compressed": lambda rows: torch.stack([read_file(plain[row]) for row in rows]),
            },
        ),
        Case(
            "13x64x64, windows of 256x256",
            16 * LARGE,
            64,
            {
                OURS: from_chips(cut, ["s2"]),
                "TorchGeo": from_bounds(s2, cut),
                "rasterio": from_windows(large.tiles, cut, ["s2"]),
            },
        ),
        Case(
            "S1 and S2 of 256x256",
            LARGE,
            16,
            {
                OURS: from_chips(whole, ["s1", "s2"]),
                "TorchGeo": from_bounds(s1 & s2, whole),
                "rasterio": from_windows(large.tiles, whole, ["s1", "s2"]),
            },
        ),
    ]


def from_chips(chips: Chips, modalities: Sequence[str]) -> Reader:
    """Ours: each modality converted into its bands of the batch."""
    places = np.cumsum([0, *(len(chips.header.arrays[name].bands) for name in modalities)])
    size = chips.header.size

    def read(rows: Sequence[int]) -> Tensor:
        batch = np.empty((len(rows), places[-1], size, size), np.float32)
        for name, start, end in zip(modalities, places, places[1:], strict=False):
            batch[:, start:end] = chips.read(name, rows)
        return torch.from_numpy(batch)

    return read


def from_windows(tiles: Sequence[Tile], chips: Chips, modalities: Sequence[str]) -> Reader:
    """Plain rasterio."""
    by_id = {tile.id: tile for tile in tiles}
    size = chips.header.size
    columns = chips.index[["tile", "row", "column"]].itertuples(index=False)
    places = [(by_id[tile], Window(column, row, size, size)) for tile, row, column in columns]

    def patch(row: int) -> Tensor:
        tile, window = places[row]
        return torch.cat([read_file(tile.rasters[name].files[0].path, window) for name in modalities])

    return lambda rows: torch.stack([patch(row) for row in rows])


def from_bounds(dataset: GeoDataset, chips: Chips) -> Reader:
    """A geographic data set of TorchGeo."""
    bounds = chips.index["bounds"].tolist()

    def patch(row: int) -> Tensor:
        west, south, east, north = bounds[row]
        image: Tensor = dataset[west:east, south:north]["image"]  # type: ignore[misc]
        return image

    return lambda rows: torch.stack([patch(row) for row in rows])


def read_file(path: str, window: Window | None = None) -> Tensor:
    """A file, or a window of it, as float32."""
    with rasterio.open(path) as source:
        return torch.from_numpy(source.read(window=window).astype(np.float32))


def raster_dataset(folder: Path) -> GeoDataset:
    """All files of a folder."""
    from torchgeo.datasets import RasterDataset

    class Tiles(RasterDataset):
        filename_glob = "*.tif"
        is_image = True

    return Tiles(str(folder))


def write_small(root: Path) -> None:
    """EuroSAT's real files, each many times with noise."""
    files = sorted(_needed("eurosat_ms").glob("*/*.tif"))
    names = []
    for number in range(SMALL):
        file = files[number % len(files)]
        label = file.parent.name
        names.append(f"{label}_{number + 1}")
        _write_again(file, root / EUROSAT / label / f"{names[-1]}.tif", number)
    for split in ("train", "val", "test"):
        (root / f"eurosat-{split}.txt").write_text("".join(f"{name}.jpg\n" for name in names if split == "train"))


def write_large(root: Path) -> None:
    """TerraMind's real pairs, mirrored to 256 pixels, each many times with noise, side by side on the ground."""
    names = sorted(file.name for file in (_needed("terramind_s1s2") / "S2L1C").glob("*.tif"))
    for number in range(LARGE):
        place = rasterio.Affine(10, 0, 500_000 + 3000 * (number % 20), 0, -10, 5_000_000 - 3000 * (number // 20))
        for modality, folder, predictor in (("s1", "S1RTC", 3), ("s2", "S2L1C", 2)):
            file = real("terramind_s1s2") / folder / names[number % len(names)]
            facts = {"transform": place, "crs": "EPSG:32632", "width": 256, "height": 256, "predictor": predictor}
            _write_again(file, root / modality / f"tile{number:04d}.tif", number, **facts)


def _write_again(source: Path, target: Path, seed: int, **facts: Any) -> None:
    """A copy with noise of half a percent of the values' spread, mirrored to ``width`` and ``height`` where given."""
    with rasterio.open(source) as opened:
        pixels, profile, names = opened.read(), opened.profile, opened.descriptions
    noise = np.random.default_rng(seed).normal(0, 0.005 * float(pixels.std()), pixels.shape)
    noisy: NDArray[Any] = (pixels + noise).clip(1 if pixels.dtype.kind in "iu" else None).astype(pixels.dtype)
    side = facts.get("width", pixels.shape[1])
    noisy = np.pad(noisy, ((0, 0), (0, side - noisy.shape[1]), (0, side - noisy.shape[2])), mode="reflect")
    for block in ("blockxsize", "blockysize"):
        profile.pop(block, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(target, "w", **profile | facts) as writer:
        writer.write(noisy)
        for number, name in enumerate(names, start=1):
            writer.set_band_description(number, name or "")


def _uncompressed(file: str, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    target = folder / Path(file).name
    with rasterio.open(file) as source:
        profile = {key: value for key, value in source.profile.items() if key not in ("compress", "predictor")}
        with rasterio.open(target, "w", **profile) as writer:
            writer.write(source.read())
    return str(target)


def _needed(folder: str) -> Path:
    if not real(folder).is_dir():
        raise DataNotFoundError(f"{folder} is not in GEOZOO_DATA: set it to a folder with {folder}/")
    return real(folder)
