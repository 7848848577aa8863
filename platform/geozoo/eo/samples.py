"""Tiles as samples for training: dictionaries of tensors, with the keys of TorchGeo's data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from geozoo.eo.bands import select_bands
from geozoo.eo.labels import majority_class, multilabels, recode_mask
from geozoo.eo.tiles import grid_of, read_raster, valid_pixels
from geozoo.errors import DataNotFoundError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geozoo.eo.tiles import Collection, Grid, Tile


class TileDataset(Dataset[dict[str, Any]]):
    """Whole tiles of a collection, read from their files each time; PyTorch's default collation makes batches of them.

    A sample holds, where ``*`` is a modality such as ``s1``:

    - ``image`` float32 ``[bands, height, width]``, or ``image_*`` for each where there are several modalities: numbers
      of the product (`geozoo.eo.bands.SENSORS` has their units), the offset of the baseline added, not normalised;
    - ``valid_*`` bool ``[height, width]``: measured in every band (`geozoo.eo.tiles.valid_pixels`);
    - ``sensor_*`` and ``baseline_*`` (``""`` where nothing tells it), for normalisation by level and offset checks;
    - ``mask`` int64 ``[height, width]``: class numbers, 255 where a pixel counts for nothing;
    - ``label``: int64 class number, or float32 ``[classes]`` of zeros and ones in a multi-label collection. It is the
      tile's own, or else that of its mask (`geozoo.eo.labels`); there is none where both are missing;
    - ``bounds`` float64 ``[4]``: west, south, east, north of the first modality, in the units of ``crs``; NaN and
      ``""`` without a place.

    TorchGeo's own ``bounds`` and ``crs`` are objects that need its collation.
    """

    def __init__(self, collection: Collection, bands: Mapping[str, Sequence[str]] | None = None) -> None:
        """Check that every tile has the bands.

        Args:
            collection: the tiles.
            bands: names by modality, in the order wanted; other modalities are not read. All of the first tile's, if
                not given. The ``mask`` is read wherever there is one.

        Raises:
            InputError: there are no tiles, or several labels are asked for of no classes.
            DataNotFoundError: a tile lacks a modality.
            BandError: a tile lacks a band, as one of 12 bands where 13 are asked for.
        """
        if not collection.tiles:
            raise InputError(f"collection {collection.name} has no tiles: choose another part of it")
        if collection.multilabel and not collection.classes:
            raise InputError(f"collection {collection.name} names no classes: a multi-label collection needs them")
        first = collection.tiles[0].rasters
        own = {name: raster.bands for name, raster in first.items() if name != "mask"}
        self.collection = collection
        self.bands = own if bands is None else {name: tuple(names) for name, names in bands.items()}
        _check_bands(collection, self.bands)

    def __len__(self) -> int:
        return len(self.collection.tiles)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read a tile.

        Raises:
            DataNotFoundError: a file is missing.
            DataCorruptError: a file cannot be read.
        """
        tile = self.collection.tiles[index]
        grids = {name: grid_of(tile.rasters[name]) for name in self.bands}
        sample = _place(next(iter(grids.values())))
        for name, bands in self.bands.items():
            raster = tile.rasters[name]
            pixels = read_raster(raster, bands, grid=grids[name])
            sample["image" if len(self.bands) == 1 else f"image_{name}"] = torch.from_numpy(pixels.astype(np.float32))
            sample[f"valid_{name}"] = torch.from_numpy(valid_pixels(pixels, raster.nodata))
            sample |= {f"sensor_{name}": raster.sensor, f"baseline_{name}": raster.baseline or ""}
        mask = None
        if "mask" in tile.rasters:
            mask = recode_mask(read_raster(tile.rasters["mask"], categorical=True)[0], tile.recode)
            sample["mask"] = torch.from_numpy(mask)
        label = tile_label(self.collection, tile, mask)
        return sample if label is None else {**sample, "label": label}


def tile_label(collection: Collection, tile: Tile, mask: NDArray[np.int64] | None) -> Tensor | None:
    """A tile's own label or labels, or else those of its mask: see `TileDataset`; None where it has neither."""
    if collection.multilabel:
        present = tile.labels if tile.labels or mask is None else multilabels(mask)
        label = torch.zeros(len(collection.classes))
        label[list(present)] = 1
        return label
    if tile.labels:
        return torch.tensor(tile.labels[0])
    return None if mask is None else torch.tensor(majority_class(mask))


def _check_bands(collection: Collection, bands: Mapping[str, Sequence[str]]) -> None:
    seen = set()
    for tile in collection.tiles:
        for name, wanted in bands.items():
            if name not in tile.rasters:
                raise DataNotFoundError(
                    f"tile {tile.id} of {collection.name} has no {name} (it has {', '.join(tile.rasters)}): leave out "
                    f"such tiles, or name the modalities to use in `bands:`"
                )
            there = tile.rasters[name].bands
            if (name, there) not in seen:
                select_bands(there, wanted, f"{name} of tile {tile.id}")
                seen.add((name, there))


def _place(grid: Grid) -> dict[str, Any]:
    bounds = torch.tensor(grid.bounds() or [float("nan")] * 4, dtype=torch.float64)
    return {"bounds": bounds, "crs": grid.crs.to_string() if grid.crs else ""}
