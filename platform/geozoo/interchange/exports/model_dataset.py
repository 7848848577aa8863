"""The preprocessed form of the published zoos: states with their properties, split by model."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError
from geozoo.interchange.exports.published import keys_of, logged, metric_names, settings_of
from geozoo.interchange.exports.splits import member_splits
from geozoo.interchange.exports.tune import trial_name
from geozoo.interchange.exports.writing import chosen_epochs, chosen_rows, new_file, row_blocks
from geozoo.interchange.restricted import load_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from geozoo.store import Zoo

NAMES = {"train": "trainset", "validation": "valset", "test": "testset"}


@dataclass
class ModelDataset:
    """States of one split as the published ``ModelDatasetBase`` offers them.

    Attributes:
        data_in: flat weights ``[states, params]``, layer by layer kernels and then biases.
        paths: folder of each state's trial.
        epochs: of each state.
        properties: lists aligned with the states: metrics by their published names, ``ggap``, ``training_iteration``
            and settings such as ``model::nlin``.
        keys: names of the tensors of a state.
        shapes: and their shapes, in the order of the vector.
    """

    data_in: torch.Tensor
    paths: list[str]
    epochs: list[int]
    properties: dict[str, list[Any]]
    keys: list[str]
    shapes: list[list[int]]

    def __len__(self) -> int:
        return len(self.data_in)

    def __getitem__(self, index: int) -> OrderedDict[str, torch.Tensor]:
        """A state as a ``state_dict`` of views."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = self.data_in[index].split(sizes)
        return OrderedDict(
            (key, part.reshape(shape)) for key, part, shape in zip(self.keys, parts, self.shapes, strict=True)
        )

    def __get_weights__(self) -> torch.Tensor:
        """All states as a matrix ``[states, params]``."""
        return self.data_in


def model_datasets(
    zoo: Zoo,
    members: Sequence[str] = (),
    epochs: Sequence[int] = (),
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, ModelDataset]:
    """The states of a zoo as ``trainset``, ``valset`` and ``testset``, held in memory.

    Splits are by member: those of an imported zoo's source where it has them, else 70, 15 and 15 %.

    Raises:
        InputError: there is no such member or epoch.
    """
    rows, wanted, splits = chosen_rows(zoo, members), chosen_epochs(zoo, epochs), member_splits(zoo)
    datasets = {}
    for split, name in NAMES.items():
        chosen = rows[splits[rows] == split]
        if len(chosen):
            datasets[name] = _dataset(zoo, chosen, wanted)
        on_step("splits", len(datasets), len(NAMES))
    return datasets


def export_dataset(
    zoo: Zoo,
    destination: str | Path,
    members: Sequence[str] = (),
    epochs: Sequence[int] = (),
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Write `model_datasets` as one ``.pt`` file of plain values and tensors, which `load_model_datasets` opens.

    It loads with ``torch.load(file, weights_only=True)`` as dictionaries, too.

    Returns:
        How many states were written.

    Raises:
        InputError: the destination is there, or there is no such member or epoch.
    """
    import torch

    with new_file(destination) as path:
        datasets = model_datasets(zoo, members, epochs, on_step)
        torch.save({name: {**vars(dataset)} for name, dataset in datasets.items()}, path)
    return sum(map(len, datasets.values()))


def load_model_datasets(path: str | Path) -> dict[str, ModelDataset]:
    """Open a file of `export_dataset`.

    Raises:
        UnsafeFileError: it holds more than data.
        InputError: it is another kind of file.
    """
    loaded = load_tensors(Path(path))
    try:
        return {name: ModelDataset(**part) for name, part in loaded.items()}
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"{str(path)!r} was not written by geozoo export dataset: import a published file with geozoo import pt."
        ) from error


def _dataset(zoo: Zoo, rows: Any, epochs: Sequence[int]) -> ModelDataset:
    import torch

    weights = np.empty((len(rows), len(epochs), zoo.header.num_parameters), dtype=np.float32)
    start = 0
    for block in row_blocks(zoo, rows):
        for number, epoch in enumerate(epochs):
            weights[start : start + len(block), number] = zoo.states(block, epoch)
        start += len(block)
    table = zoo.members.iloc[rows].to_dict("records")
    metrics = zoo.read_metrics(None, list(epochs), rows)
    return ModelDataset(
        data_in=torch.from_numpy(weights.reshape(-1, weights.shape[2])),
        paths=[_path(zoo, row, int(at)) for row, at in zip(table, rows, strict=True) for _ in epochs],
        epochs=[int(epoch) for epoch in metrics["epoch"]],
        properties=_properties(zoo, table, metrics, len(epochs)),
        keys=keys_of(zoo, table[0]),
        shapes=[list(slot.shape) for slot in zoo.layout],
    )


def _path(zoo: Zoo, row: Any, number: int) -> str:
    return str(PurePosixPath(zoo.header.name) / trial_name(zoo, row, number))


def _properties(zoo: Zoo, table: Sequence[Any], metrics: Any, repeats: int) -> dict[str, list[Any]]:
    names = metric_names(zoo, metrics)
    properties: dict[str, list[Any]] = {"training_iteration": [int(epoch) for epoch in metrics["epoch"]]}
    for column, name in names.items():
        pairs = zip(metrics["epoch"], metrics[column], strict=True)
        properties[name] = [logged(column, int(epoch), float(value)) for epoch, value in pairs]
    if {"train_acc", "test_acc"} <= properties.keys():
        pairs = zip(properties["train_acc"], properties["test_acc"], strict=True)
        properties.setdefault("ggap", [train - test for train, test in pairs])
    settings = [settings_of(zoo, row) for row in table]
    for name in dict.fromkeys(name for one in settings for name in one):
        properties[name] = [one.get(name) for one in settings for _ in range(repeats)]
    return properties
