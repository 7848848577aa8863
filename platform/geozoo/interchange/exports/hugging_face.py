"""A folder that the Hugging Face ``datasets`` library loads, and that the Hub shows: Parquet shards and a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from geozoo.interchange.exports.packs import write_tables
from geozoo.interchange.exports.splits import member_splits
from geozoo.interchange.exports.writing import chosen_epochs, chosen_rows, new_folder, row_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from geozoo.store import Zoo
    from geozoo.store.weights import Indices

SHARD_BYTES = 256 * 2**20
_PLACE = ("cohort", "position", "plan", "committed")


def export_hugging_face(
    zoo: Zoo,
    destination: str | Path,
    members: Sequence[str] = (),
    epochs: Sequence[int] = (),
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Write ``data/<split>-<number>-of-<count>.parquet`` and a ``README.md`` that names the splits.

    A row is one state: ``member``, ``epoch``, hyper-parameters, metrics, and ``weights``, a list of float32 of fixed
    length, which ``layout.json`` cuts into tensors. Splits are by member.

    Returns:
        How many states were written.

    Raises:
        InputError: the destination is there, or there is no such member or epoch.
    """
    import pyarrow.parquet as pq

    rows, wanted = chosen_rows(zoo, members), chosen_epochs(zoo, epochs)
    splits = member_splits(zoo)
    done, total = 0, len(rows) * len(wanted)
    with new_folder(destination) as folder:
        write_tables(zoo, rows, wanted, folder)
        (folder / "data").mkdir()
        there = [split for split in ("train", "validation", "test") if (splits[rows] == split).any()]
        for split in there:
            blocks = row_blocks(zoo, rows[splits[rows] == split], SHARD_BYTES // len(wanted))
            for number, block in enumerate(blocks):
                path = folder / "data" / f"{split}-{number:05d}-of-{len(blocks):05d}.parquet"
                writer = None
                for table in _tables(zoo, block, wanted):
                    writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                    writer.write_table(table)
                    done += table.num_rows
                    on_step("states", done, total)
                if writer is not None:
                    writer.close()
        (folder / "README.md").write_text(card(zoo, there, total), encoding="utf-8")
    return total


def _tables(zoo: Zoo, block: Indices, epochs: Sequence[int]) -> Iterator[pa.Table]:
    """One table of states for each epoch."""
    import pyarrow as pa

    members = zoo.members.iloc[block].drop(columns=list(_PLACE)).reset_index(drop=True)
    for epoch in epochs:
        metrics = zoo.read_metrics(None, epoch, block).drop(columns=["member"])
        metrics = metrics.rename(columns={name: f"{name}_logged" for name in metrics.columns if name in members})
        described = pa.Table.from_pandas(members.join(metrics), preserve_index=False)
        flat = pa.array(np.ascontiguousarray(zoo.states(block, epoch)).reshape(-1))
        weights = pa.FixedSizeListArray.from_arrays(flat, zoo.header.num_parameters)
        yield described.replace_schema_metadata(None).append_column("weights", weights)


def card(zoo: Zoo, splits: Sequence[str], states: int) -> str:
    """The ``README.md``: front matter that tells the library where the splits are, then how to use them."""
    files = [{"split": split, "path": f"data/{split}-*"} for split in splits]
    about: dict[str, Any] = {
        "pretty_name": zoo.header.name,
        "tags": ["model-zoo", "weight-space-learning"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    front = yaml.safe_dump(about, sort_keys=False)
    return (
        f"---\n{front}---\n\n# {zoo.header.name}\n\n"
        f"{states:,} states of neural networks with {zoo.header.num_parameters:,} parameters each, written by geozoo. "
        "A row is one model at one epoch: its hyper-parameters, its metrics, and its `weights` as one vector, which "
        "`layout.json` cuts into tensors by name, shape and offset. Splits are by model.\n\n"
        "```python\nfrom datasets import load_dataset\n\n"
        'states = load_dataset("path/to/this/folder", split="train").with_format("numpy")\n'
        'states[0]["weights"], states[0]["test_accuracy"]\n```\n'
    )
