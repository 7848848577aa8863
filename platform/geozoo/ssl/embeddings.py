"""Embeddings of all chips of a store as GeoParquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.eo.chips.footprint import GEO_METADATA
from geozoo.errors import InputError
from geozoo.ssl.stream import ChipStream
from geozoo.ssl.views import all_bands, resolve_bands
from geozoo.training.distributed import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from geozoo.eo.chips import Chips
    from geozoo.ssl.trained import TrainedViews

CHIPS_AT_ONCE = 256
KEPT = ("chip", "id", "scene", "split", "date", "labels", "crs", "bounds", "geometry")
"""Columns of the index that go along."""


def write_embeddings(
    model: TrainedViews, chips: Chips, path: str | Path, on_chips: Callable[[int], object] = lambda count: None
) -> int:
    """Write one row per chip: what the index says of it, its footprint, and ``embedding`` float32 ``[dim]``.

    GeoParquet 1.1 with polygons in longitude and latitude; chips without a place have none. Memory holds a batch.

    Args:
        model: trained encoders, on any device; several views give their vectors side by side.
        chips: any store that has the bands of the views.
        path: the file to write.
        on_chips: called with the number of chips done.

    Returns:
        The width of an embedding.

    Raises:
        BandError: the store lacks a band.
        InputError: it lacks a modality, or its chips have another size.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for settings in model.card.experiment.views.values():
        resolve_bands(settings, chips.header, chips.url)
    if chips.header.size != model.card.chips.size:
        raise InputError(
            f"{model.url} was trained on chips of {model.card.chips.size} pixels, those of {chips.url} have "
            f"{chips.header.size}: ingest them with --size {model.card.chips.size}"
        )
    rows = np.arange(len(chips))
    stream = ChipStream(
        chips, rows, all_bands(model.views), CHIPS_AT_ONCE, World(device=model.device), resident_bytes=0
    )
    index, dim, done = chips.index[list(KEPT)], model.views.dim, 0
    writer = None
    try:
        for batch in stream.epoch(0):
            vectors = model.embed(batch.pixels).float().cpu().numpy()
            part = pa.Table.from_pandas(index.iloc[batch.rows], preserve_index=False)
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim)
            part = part.append_column("embedding", column)
            if writer is None:
                schema = _typed(part.schema).with_metadata({"geo": GEO_METADATA})
                writer = pq.ParquetWriter(str(path), schema)
            writer.write_table(part.cast(schema))
            done += len(batch.rows)
            on_chips(done)
    finally:
        if writer is not None:
            writer.close()
    return dim


def _typed(schema: pa.Schema) -> pa.Schema:
    """Columns that are all missing in a part have their type all the same."""
    import pyarrow as pa

    types = {
        "split": pa.string(),
        "date": pa.string(),
        "crs": pa.string(),
        "bounds": pa.list_(pa.float64()),
        "geometry": pa.binary(),
    }
    return pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in schema])
