"""The raw layout of the published zoos, for their loaders: one folder per trial, one folder per checkpoint."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from geozoo.interchange.exports.published import keys_of, logged, metric_names, settings_of
from geozoo.interchange.exports.writing import chosen_epochs, chosen_rows, new_folder, row_blocks
from geozoo.interchange.settings import SOURCE
from geozoo.store.tensors import batches_trained, named_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from torch import Tensor

    from geozoo.store import Zoo


def export_tune(
    zoo: Zoo,
    destination: str | Path,
    members: Sequence[str] = (),
    epochs: Sequence[int] = (),
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Write ``config.json`` and, for each member, ``params.json``, ``result.json`` and the states.

    A state is ``checkpoint_<epoch, six digits>/checkpoints``, saved by ``torch.save`` as an ordered ``state_dict``. In
    ``result.json`` there is one row for every epoch from 0 (or from 1, where 0 is not stored) on, since loaders count
    rows; rows of epochs that are not stored hold no metrics. Optimiser states are not in a zoo, so there are none. A
    trial of an imported zoo has its own name and spelling of keys again.

    Returns:
        How many states were written.

    Raises:
        InputError: the destination is there, or there is no such member or epoch.
    """
    import torch

    rows, wanted = chosen_rows(zoo, members), chosen_epochs(zoo, epochs)
    done, total = 0, len(rows) * len(wanted)
    with new_folder(destination) as folder:
        _write_json(folder / "config.json", _config(zoo))
        for block in row_blocks(zoo, rows):
            table = zoo.members.iloc[block].to_dict("records")
            trials = [folder / trial_name(zoo, row, int(at)) for row, at in zip(table, block, strict=True)]
            _write_tables(zoo, table, trials, wanted)
            for epoch in wanted:
                for row, trial, vector in zip(table, trials, zoo.states(block, epoch), strict=True):
                    state = _state(zoo, row, epoch, vector)
                    (trial / f"checkpoint_{epoch:06d}").mkdir()
                    torch.save(state, trial / f"checkpoint_{epoch:06d}" / "checkpoints")
                done += len(block)
                on_step("states", done, total)
    return total


def _state(zoo: Zoo, row: Mapping[Any, Any], epoch: int, vector: np.ndarray[Any, Any]) -> OrderedDict[str, Tensor]:
    """A state in the order of the layout; of an imported zoo with its source's keys, and no counters of BatchNorm."""
    tensors = named_tensors(vector, zoo.layout, batches_trained(zoo.header, row["batch_size"], epoch))
    if zoo.header.origin is None:
        return OrderedDict(tensors)
    keys = zip(keys_of(zoo, row), zoo.layout, strict=True)
    return OrderedDict((key, tensors[slot.name]) for key, slot in keys)


def trial_name(zoo: Zoo, row: Mapping[Any, Any], number: int) -> str:
    """Folder of a member: its own of an imported zoo, if that is a plain relative name, else made of its id."""
    name = str(row.get(SOURCE, ""))
    parts = PurePosixPath(name).parts
    if name and "\\" not in name and not name.startswith("/") and not {"..", "."} & set(parts):
        return name
    return f"NN_tune_trainable_{zoo.header.sha256[:5]}_{number:05d}_{row['member']}"


def _config(zoo: Zoo) -> dict[str, Any]:
    """Settings of the zoo; those that differ between members as the grids that they were."""
    settings = [settings_of(zoo, row) for row in zoo.members.to_dict("records")]
    values: dict[str, dict[str, Any]] = {}
    for one in settings:
        for name, value in one.items():
            values.setdefault(name, {})[json.dumps(value, sort_keys=True)] = value
    return {
        name: next(iter(found.values())) if len(found) == 1 else {"grid_search": list(found.values())}
        for name, found in values.items()
    }


def _write_tables(zoo: Zoo, table: Sequence[Mapping[Any, Any]], trials: Sequence[Path], epochs: Sequence[int]) -> None:
    metrics = zoo.read_metrics(None, list(epochs), [str(row["member"]) for row in table])
    names = metric_names(zoo, metrics)
    by_member = dict(iter(metrics.groupby("member", sort=False)))
    for row, trial in zip(table, trials, strict=True):
        trial.mkdir(parents=True)
        settings = settings_of(zoo, row)
        _write_json(trial / "params.json", settings)
        lines = _result_rows(by_member[row["member"]], names, settings, nulls=zoo.header.origin is None)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (trial / "result.json").write_text(text, encoding="utf-8")


def _result_rows(
    metrics: pd.DataFrame, names: Mapping[str, str], settings: Mapping[str, Any], *, nulls: bool
) -> Iterable[dict[str, Any]]:
    """Rows for ``result.json``; without ``nulls``, which an imported zoo has for what its source did not log."""
    stored = {int(row["epoch"]): row for row in metrics.to_dict("records")}
    for epoch in range(0 if 0 in stored else 1, max(stored) + 1):
        row = stored.get(epoch)
        there = row is not None and (nulls or not all(math.isnan(row[column]) for column in names))
        values = {name: logged(column, epoch, row[column]) for column, name in names.items()} if row and there else {}
        values = {name: value for name, value in values.items() if nulls or not math.isnan(value)}
        yield {**values, "training_iteration": epoch, "config": dict(settings)}


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
