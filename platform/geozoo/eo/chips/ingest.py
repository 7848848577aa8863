"""Ingest: cut a collection into chips, part by part; what is there is kept, so the same command finishes it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.chips.footprint import GEO_METADATA, footprint
from geozoo.eo.chips.header import ARRAYS, HEADER_NAME, INDEX_NAME, ChipHeader, part_name
from geozoo.eo.chips.plan import MASK, design_arrays, digest_plan, plan_chips, reference_raster
from geozoo.eo.labels import majority_class, multilabels
from geozoo.eo.tiles import IGNORE, Window, grid_of, read_raster
from geozoo.errors import DataCorruptError, InputError
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from geozoo.eo.tiles import Collection, Raster, Tile


@dataclass(frozen=True)
class Part:
    """One unit of work: chips that are written together. Pickles small, for another process or machine.

    Attributes:
        url: of the chip store.
        header: of the chip store.
        number: of the part.
        rows: of the plan, ``(id, place in tiles, row, column)``.
        tiles: those that the rows are cut from.
    """

    url: str
    header: ChipHeader
    number: int
    rows: tuple[tuple[str, int, int, int], ...]
    tiles: tuple[Tile, ...]


def begin_ingest(
    collection: Collection,
    url: str,
    size: int,
    stride: int | None = None,
    bands: Mapping[str, tuple[str, ...]] | None = None,
    on_tile: Callable[[], object] = lambda: None,
) -> list[Part]:
    """Plan the chips, write the header, and return the parts that are missing.

    Args:
        collection: the tiles.
        url: where the store goes: a folder or s3://bucket/prefix.
        size: side of a chip in pixels.
        stride: pixels from chip to chip; ``size`` where not given.
        bands: names to keep, by modality; all where not given.
        on_tile: called for every tile that was measured.

    Raises:
        InputError: a tile is too small, or a store of another plan is there.
    """
    table = plan_chips(collection, size, stride or size, on_tile)
    arrays = design_arrays(collection, len(table), size, bands or {})
    header = ChipHeader(
        name=collection.name,
        classes=collection.classes,
        multilabel=collection.multilabel,
        size=size,
        count=len(table),
        part=next(iter(arrays.values())).part,
        arrays=arrays,
        labels_of="mask" if MASK in arrays and not any(tile.labels for tile in collection.tiles) else "tile",
        plan_sha256=digest_plan(collection, table, arrays.values()),
    )
    location = open_location(url)
    with location.opening():
        if not location.create_once(HEADER_NAME, header.dumps()):
            there = ChipHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}")
            if there != header:
                raise InputError(
                    f"{location.url} holds chips of another plan ({there.count} of {there.size} pixels from "
                    f"{there.name}; this one has {header.count} of {size} from {collection.name}): choose another --to"
                )
        location.write(f"{ARRAYS}/zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
        for name, array in arrays.items():
            location.write(f"{ARRAYS}/{name}/zarr.json", array.metadata())
        done = location.list("parts")
    missing = [number for number in range(header.parts) if part_name(number) not in done]
    return [_part(collection, table, header, location.url, number) for number in missing]


def _part(collection: Collection, table: pd.DataFrame, header: ChipHeader, url: str, number: int) -> Part:
    rows = table.iloc[number * header.part : (number + 1) * header.part]
    numbers = sorted(set(rows["tile"]))
    places = {tile: place for place, tile in enumerate(numbers)}
    columns = (rows[name].tolist() for name in ("id", "tile", "row", "column"))
    return Part(
        url,
        header,
        number,
        tuple((name, places[tile], row, column) for name, tile, row, column in zip(*columns, strict=True)),
        tuple(collection.tiles[tile] for tile in numbers),
    )


def ingest_part(part: Part) -> int:
    """Cut, write the pixels, then the index of the part; the number of chips.

    Raises:
        DataNotFoundError, DataCorruptError: a tile cannot be read, or is not like the first.
        StoreLostError: the store failed.
    """
    location = open_location(part.url)
    cut = [_cut(part, *row) for row in part.rows]
    for name, array in part.header.arrays.items():
        shard = array.encode(np.stack([pixels[name] for pixels, _ in cut]))
        location.write(f"{ARRAYS}/{name}/c/{part.number}/0/0/0", shard)
    table = _index_table([facts for _, facts in cut])
    location.write(part_name(part.number), _parquet(table))
    return len(cut)


def finish_ingest(url: str) -> ChipHeader:
    """Join the parts' indexes into one; the store can then be opened.

    Raises:
        InputError: parts are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = open_location(url)
    header = ChipHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}")
    done = location.list("parts")
    names = [part_name(number) for number in range(header.parts)]
    if missing := [name for name in names if name not in done]:
        raise InputError(
            f"{location.url} lacks {len(missing)} of {len(names)} parts: run the same command to finish it"
        )
    tables = [pq.read_table(io.BytesIO(location.read(name))) for name in names]
    joined = pa.concat_tables(tables)
    chips = pa.array(np.arange(header.count))
    location.write(INDEX_NAME, _parquet(joined.add_column(0, "chip", chips)))
    return header


def _cut(part: Part, name: str, place: int, row: int, column: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The pixels of a chip by modality, and its row of the index."""
    tile, size = part.tiles[place], part.header.size
    window = Window(row, column, size, size)
    grid = grid_of(reference_raster(tile))
    pixels, valid = {}, np.ones((size, size), bool)
    for modality, array in part.header.arrays.items():
        if modality not in tile.rasters:
            raise DataCorruptError(f"tile {tile.id} has no {modality}: ingest a folder whose tiles are alike")
        raster = tile.rasters[modality]
        categorical = modality == MASK
        read = read_raster(raster, array.bands, window, grid=grid, categorical=categorical)
        if categorical:
            read = recode(read, tile.recode)
        elif read.dtype != np.dtype(array.dtype):
            raise DataCorruptError(
                f"{raster.files[0]} holds {read.dtype}, the first tile {array.dtype}: run geozoo eo check on the folder"
            )
        else:
            valid &= valid_pixels(read, raster)
        pixels[modality] = read
    facts = {
        "id": name,
        "tile": tile.id,
        "scene": tile.scene,
        "row": row,
        "column": column,
        "split": tile.split,
        "date": tile.date,
        "labels": _mask_labels(pixels[MASK], part.header) if part.header.labels_of == "mask" else list(tile.labels),
        "valid": float(valid.mean()),
        "baseline": next((raster.baseline for raster in tile.rasters.values() if raster.baseline), None),
        **footprint(grid, window),
    }
    return pixels, facts


def _mask_labels(mask: NDArray[np.uint8], header: ChipHeader) -> list[int]:
    """The classes of a mask where chips may have several, else the class of most of its pixels, if any counts."""
    if header.multilabel:
        return list(multilabels(mask))
    label = majority_class(mask)
    return [] if label == IGNORE else [label]


def valid_pixels(pixels: NDArray[Any], raster: Raster) -> NDArray[np.bool_]:
    """Where all bands were measured, ``[height, width]``: neither nodata nor NaN."""
    if np.issubdtype(pixels.dtype, np.floating):
        return np.asarray(np.isfinite(pixels).all(0))
    if raster.nodata is None:
        return np.ones(pixels.shape[1:], bool)
    return np.asarray((pixels != raster.nodata).all(0))


def recode(codes: NDArray[Any], table: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Class numbers from the codes of a file; codes that the table does not have become `IGNORE`."""
    if table is None:
        return codes.astype(np.uint8)
    lookup = np.full(256, IGNORE, np.uint8)
    lookup[: len(table)] = table
    inside = (codes >= 0) & (codes < len(lookup))
    return np.where(inside, lookup[np.where(inside, codes, 0).astype(np.intp)], IGNORE).astype(np.uint8)


def _index_table(facts: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    text, number, real = pa.string(), pa.int64(), pa.float64()
    schema = pa.schema(
        {
            "id": text,
            "tile": text,
            "scene": text,
            "row": number,
            "column": number,
            "split": text,
            "date": text,
            "labels": pa.list_(number),
            "valid": real,
            "baseline": text,
            "crs": text,
            "bounds": pa.list_(real),
            "geometry": pa.binary(),
        },
        metadata={"geo": GEO_METADATA},
    )
    return pa.Table.from_pylist(facts, schema)


def _parquet(table: pa.Table) -> memoryview:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getbuffer()


def cut_parts(parts: Sequence[Part], workers: int = 1) -> Iterator[int]:
    """`ingest_part` of all, in this process or in several of this machine; yields the chips of each part done."""
    if workers == 1 or len(parts) < 2:
        yield from map(ingest_part, parts)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(ingest_part, part) for part in parts]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
