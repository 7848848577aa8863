"""The states of a zoo as a Ray data set: one block for each shard of the store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.data import Datasource
from ray.data.block import BlockAccessor, BlockMetadata
from ray.data.datasource import ReadTask

from geozoo.errors import InputError
from geozoo.store import open_zoo
from geozoo.store.reader import ShardReader, group_equal
from geozoo.store.selection import select_states
from geozoo.store.shuffle import shuffle_in_pools

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ray.data.block import Block
    from ray.data.context import DataContext

    from geozoo.store import Location, Split
    from geozoo.store.reader import ShardRead


def read_states(
    url: str | Path,
    split: Split = "train",
    epochs: int | Sequence[int] | None = None,
    target: str = "test_accuracy",
    *,
    seed: int | None = None,
    epoch: int = 0,
) -> ray.data.Dataset:
    """States of one split of a zoo with a metric as the target, lazily, on the cluster this process is connected to.

    Rows are ``member`` (id), ``epoch``, ``weights`` (float32 ``[params]``) and ``target`` (float32), the states of
    ``zoo.torch_dataset``; ``iter_torch_batches`` wants ``member`` dropped, which is no number. With a ``seed`` the
    shards come in a random order and the rows of each are shuffled, anew for every ``epoch`` (number of the pass, from
    0); without, they come as they are stored. There is one block for each shard, and blocks keep their order.

    Raises:
        InputError: there is no such split, epoch or metric, or ``seed`` is negative.
        ZooNotFoundError: there is no zoo at this URL.
    """
    source = StatesDatasource(url, split, epochs, target, seed, epoch)
    dataset: ray.data.Dataset = ray.data.read_datasource(source, override_num_blocks=source.num_blocks or None)
    dataset.context.execution_options.preserve_order = True
    return dataset


class StatesDatasource(Datasource):
    """Reads what :func:`read_states` describes; a task reads one shard and carries all it needs to know of the zoo."""

    def __init__(
        self,
        url: str | Path,
        split: Split,
        epochs: int | Sequence[int] | None,
        target: str,
        seed: int | None,
        epoch: int,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if seed is not None and seed < 0:
            raise InputError(f"seed={seed} cannot shuffle: give a number from 0 on, or none for the order of storage.")
        self._zoo = open_zoo(url)
        self._selection = select_states(self._zoo, split, epochs, target)
        shards = self._selection.shards
        self._blocks = group_equal(shards) if seed is None else shuffle_in_pools(shards, 1, seed, epoch)

    @property
    def num_blocks(self) -> int:
        """One for each shard that holds a selected state."""
        return len(self._blocks)

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows."""
        return self._size(len(self._selection))

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        """One task for each shard, however many are asked for."""
        tasks = []
        for items in self._blocks:
            columns = {
                "member": self._selection.members[items].astype(str),
                "epoch": self._selection.epochs[items],
                "target": self._selection.targets[items],
            }
            reads = self._zoo.shard_reads(columns["member"], columns["epoch"])
            read = partial(_read_block, self._zoo.location, reads, self._zoo.header.num_parameters, columns)
            metadata = BlockMetadata(
                num_rows=len(items), size_bytes=self._size(len(items)), exec_stats=None, input_files=None
            )
            tasks.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return tasks

    def _size(self, states: int) -> int:
        return states * (4 * self._zoo.header.num_parameters + 28)  # id of 16 characters, epoch, target


def _read_block(
    location: Location, reads: list[ShardRead], params: int, columns: dict[str, np.ndarray[Any, Any]]
) -> list[Block]:
    weights = np.empty((len(columns["epoch"]), params), dtype=reads[0].grid.dtype)
    ShardReader(location).read(reads, weights)
    return [BlockAccessor.batch_to_block(columns | {"weights": weights.astype(np.float32, copy=False)})]
