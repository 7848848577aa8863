"""The array of a published zoo: a Zarr v3 group that xarray opens, and the shards of its weights, streamed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DamagedZooError
from geozoo.store.manifest import ARRAY_FOLDER
from geozoo.store.recompute import begin_digests
from geozoo.store.shards import Grid, encode_shard, make_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.store import Zoo, ZooHeader

_GROUP, _ARRAY = ARRAY_FOLDER.split("/")


def design_grid(zoo: Zoo) -> Grid:
    """How the weights of a zoo are cut up when published."""
    return Grid.design_published(zoo.weights.shape, zoo.header.dtype)


def encode_group(header: ZooHeader, members: list[str], grid: Grid, attributes: dict[str, Any]) -> dict[str, bytes]:
    """All objects of ``weights.zarr`` but the shards of the weights, by name.

    The group has the array ``weights`` ``[member, epoch, param]`` with the layer layout as an attribute, and the
    coordinates ``member`` (ids) and ``epoch``; its metadata are consolidated, so that it opens where nothing can be
    listed.
    """
    import zarr
    from zarr.storage import MemoryStore

    objects: dict[str, Any] = {}
    store = MemoryStore(objects)
    group = zarr.create_group(store, attributes=attributes)
    layout = {"layout": [slot.model_dump(mode="json") for slot in header.layout]}
    make_array(store, _ARRAY, grid, ("member", "epoch", "param"), layout)
    for name, values in (("member", np.array(members)), ("epoch", np.array(header.checkpoints, dtype=np.int64))):
        dtype: Any = str if name == "member" else values.dtype
        array = group.create_array(
            name, shape=values.shape, chunks=values.shape, dtype=dtype, dimension_names=(name,), compressors=None
        )
        array[:] = values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)  # zarr: not in the specification yet
        zarr.consolidate_metadata(store)
    return {f"{_GROUP}/{name}": data.to_bytes() for name, data in sorted(objects.items())}


def shard_count(grid: Grid) -> int:
    """How many shards the weights have."""
    return -(-grid.shape[0] // grid.shard[0]) * -(-grid.shape[1] // grid.shard[1])


def encode_weights(zoo: Zoo, grid: Grid) -> Iterator[tuple[str, memoryview]]:
    """Name and bytes of every shard, one in memory at a time, members by members.

    What goes into the shards is what the members' digests are recomputed from on the way.

    Raises:
        DamagedZooError: the digest of a member is not the one it was committed with.
    """
    stated = zoo.digests()
    for start in range(0, grid.shape[0], grid.shard[0]):
        rows = np.arange(start, min(start + grid.shard[0], grid.shape[0]))
        digests, metrics = begin_digests(zoo, rows)
        for first in range(0, grid.shape[1], grid.shard[1]):
            block = zoo.weights[rows, first : first + grid.shard[1]]
            for number in range(block.shape[1]):
                digests.update(zoo.checkpoints[first + number], block[:, number], metrics[first + number])
            yield f"{ARRAY_FOLDER}/{grid.shard_key(start, first)}", encode_shard(grid, block)
        for member, digest in digests.hexdigests().items():
            if digest != stated[member]:
                raise DamagedZooError(
                    f"member {member} of {zoo.url} does not have the digest it was committed with: run geozoo verify "
                    "--digest, and publish nothing before it is clean."
                )
