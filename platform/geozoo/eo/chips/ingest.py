"""Ingest: cut a collection into chips, part by part; what is there is kept, so the same command finishes it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.chips.cut import cut_strip
from geozoo.eo.chips.footprint import GEO_METADATA
from geozoo.eo.chips.header import ARRAYS, HEADER_NAME, INDEX_NAME, ChipHeader, Onto, part_name
from geozoo.eo.chips.plan import MASK, choose_bands, design_arrays, digest_plan, plan_chips
from geozoo.errors import InputError
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    import pyarrow as pa

    from geozoo.eo.tiles import Collection, Tile


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
    onto: Onto | None = None,
    on_tile: Callable[[], object] = lambda: None,
) -> list[Part]:
    """Plan the chips, write the header, and return the parts that are missing.

    Args:
        collection: the tiles.
        url: where the store goes: a folder or s3://bucket/prefix.
        size: side of a chip in pixels.
        stride: pixels from chip to chip; ``size`` where not given.
        bands: names to keep, by modality; all where not given.
        onto: the grid that all tiles are brought to; each keeps that of its first raster where not given.
        on_tile: called for every tile that was measured.

    Raises:
        InputError: there are no tiles, one is too small, or a store of another plan is there.
        BandError: a band or modality is not there.
        DataNotFoundError, DataCorruptError: a tile cannot be opened, or is unlike the first.
    """
    names = choose_bands(collection, bands or {})
    table = plan_chips(collection, size, stride or size, onto, on_tile)
    arrays = design_arrays(collection.tiles[0], names, len(table), size)
    header = ChipHeader(
        name=collection.name,
        classes=collection.classes,
        multilabel=collection.multilabel,
        size=size,
        count=len(table),
        part=next(iter(arrays.values())).part,
        arrays=arrays,
        onto=onto,
        labels_of="mask" if MASK in arrays and not any(tile.labels for tile in collection.tiles) else "tile",
        plan_sha256=digest_plan(collection, table, arrays.values(), onto),
    )
    location = open_location(url)
    with location.opening():
        if not location.create_once(HEADER_NAME, header.dumps()):
            there = ChipHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}")
            if there != header:
                raise InputError(
                    f"{location.url} holds chips of another plan ({there.count} of {there.size} pixels from "
                    f"{there.name}; this one has {header.count} of {size} from {collection.name}) or of files that "
                    "have changed: choose another --to"
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

    Holds the chips of the part, at most 32 MiB a modality, and one row of chips of a tile.

    Raises:
        DataNotFoundError, DataCorruptError: a tile cannot be read, or is not like the first.
        StoreLostError: the store failed.
    """
    location, header = open_location(part.url), part.header
    pixels = {name: np.empty((len(part.rows), *array.chip_shape), array.dtype) for name, array in header.arrays.items()}
    facts: list[dict[str, Any]] = []
    for (place, row), together in groupby(part.rows, lambda one: one[1:3]):
        chips = list(together)
        strip = cut_strip(header, part.tiles[place], row, [column for *_, column in chips])
        for name, cut in strip.pixels.items():
            pixels[name][len(facts) : len(facts) + len(chips)] = cut
        facts += [{"id": chip[0], **known} for chip, known in zip(chips, strip.facts, strict=True)]
    for name, array in header.arrays.items():
        location.write(f"{ARRAYS}/{name}/c/{part.number}/0/0/0", array.encode(pixels[name]))
    location.write(part_name(part.number), _parquet(_index_table(facts)))
    return len(facts)


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
            "label": number,
            "labels": pa.list_(number),
            "valid": real,
            "baseline": text,
            "crs": text,
            "bounds": pa.list_(real),
            "geometry": pa.binary(),
            "area": real,
        },
        metadata={"geo": GEO_METADATA},
    )
    return pa.Table.from_pylist(facts, schema)


def _parquet(table: pa.Table) -> memoryview:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getbuffer()
