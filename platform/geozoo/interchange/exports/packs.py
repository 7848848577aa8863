"""Safetensors files with the members stacked: one tensor holds one layer of many members."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from geozoo.interchange.exports.writing import chosen_epochs, chosen_rows, new_folder, row_blocks, tensors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from geozoo.store import Zoo
    from geozoo.store.weights import Indices

PACK_BYTES = 256 * 2**20


def export_safetensors(
    zoo: Zoo,
    destination: str | Path,
    members: Sequence[str] = (),
    epochs: Sequence[int] = (),
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Write ``epoch-<epoch>-part-<number>.safetensors`` with tensors ``[members, *shape]``, float32, by layer.

    A file has at most 256 MiB, or one state; its metadata are ``epoch`` and ``members``, the ids in the order of the
    first axis, as JSON. Beside them lie ``members.parquet``, ``metrics.parquet`` and ``layout.json``.

    Returns:
        How many states were written.

    Raises:
        InputError: the destination is there, or there is no such member or epoch.
    """
    from safetensors.torch import save_file

    rows, wanted = chosen_rows(zoo, members), chosen_epochs(zoo, epochs)
    done, total = 0, len(rows) * len(wanted)
    with new_folder(destination) as folder:
        write_tables(zoo, rows, wanted, folder)
        for part, block in enumerate(row_blocks(zoo, rows, PACK_BYTES)):
            ids = list(zoo.members["member"].iloc[block])
            for epoch in wanted:
                path = folder / f"epoch-{epoch:06d}-part-{part:05d}.safetensors"
                about = {"epoch": str(epoch), "members": json.dumps(ids)}
                save_file(tensors_of(zoo, zoo.states(block, epoch)), path, metadata=about)
                done += len(block)
                on_step("states", done, total)
    return total


def write_tables(zoo: Zoo, rows: Indices, epochs: Sequence[int], folder: Path) -> None:
    """Write the members, their metrics, and the layout of the flat vector."""
    members = zoo.members.iloc[rows].drop(columns=["committed"])
    members.to_parquet(folder / "members.parquet", index=False)
    zoo.read_metrics(None, list(epochs), rows).to_parquet(folder / "metrics.parquet", index=False)
    slots: list[dict[str, Any]] = [slot.model_dump(mode="json") for slot in zoo.layout]
    (folder / "layout.json").write_text(json.dumps(slots, indent=1) + "\n", encoding="utf-8")
