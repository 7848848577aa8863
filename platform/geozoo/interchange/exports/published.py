"""The names of a zoo's settings and metrics as published loaders and scripts know them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from geozoo.interchange.names import COMPUTED, HYPERPARAMETER_NAMES, NETWORK_TYPES, NOT_EVALUATED
from geozoo.interchange.settings import KEYS, SOURCE, SPLIT
from geozoo.store.plans import OPENED_COLUMNS, PLAN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from geozoo.store import Zoo

_PLACE = ("member", "cohort", "position", SOURCE, KEYS, SPLIT, *OPENED_COLUMNS)
_SETTINGS = {column: name for name, column in HYPERPARAMETER_NAMES.items()}
_METRICS = {
    "running_train_loss": "train_loss",
    "running_train_accuracy": "train_acc",
    "validation_loss": "val_loss",
    "validation_accuracy": "val_acc",
    "test_loss": "test_loss",
    "test_accuracy": "test_acc",
    "train_loss": "eval_train_loss",
    "train_accuracy": "eval_train_acc",
}
"""Metric here -> published name; what was measured in evaluation mode says so, since ``train_acc`` was not."""

UNDEFINED_AT_INITIALISATION = ("running_train_loss", "running_train_accuracy", "running_generalization_gap")
"""What needs an epoch of training."""


def settings_of(zoo: Zoo, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings of a member, ``row`` of ``zoo.members``, as its ``params.json`` has them, as far as they are known."""
    origin = zoo.header.imported
    names, encoded = (origin.names, origin.encoded) if origin else ({}, ())
    settings = dict(origin.config) if origin else _settings_of_recipe(zoo)
    for column, value in row.items():
        if column in _PLACE or value is None or value != value:
            continue
        name = _SETTINGS.get(column, column) if column in PLAN_COLUMNS else names.get(column, column)
        value = value.item() if hasattr(value, "item") else value
        settings[name] = json.loads(value) if column in encoded else value
    return settings


def _settings_of_recipe(zoo: Zoo) -> dict[str, Any]:
    """What the published zoos note beside the hyper-parameters."""
    network, training = zoo.header.network, zoo.header.recipe.get("training", {})
    noted = {
        "model::type": NETWORK_TYPES.get(network["name"], network["name"]),
        "model::channels_in": network["channels"],
        "model::o_dim": network["classes"],
        "training::epochs_train": training.get("epochs"),
    }
    return {name: value for name, value in noted.items() if value is not None}


def metric_names(zoo: Zoo, metrics: pd.DataFrame) -> dict[str, str]:
    """Published name of each metric to export, by its column, without those that follow from others."""
    origin = zoo.header.imported
    names = {}
    for column in metrics.columns[2:]:
        if origin is not None and column in origin.names:
            names[column] = origin.names[column]
        elif column in COMPUTED or (origin is not None and metrics[column].isna().all()):
            continue
        else:
            known = origin is not None and origin.kind in ("tune", "pt")
            names[column] = column if known else _METRICS.get(column, column)
    return names


def logged(column: str, epoch: int, value: float) -> float:
    """A metric as the published zoos log it: what was not evaluated at the initialisation is -999."""
    undefined = epoch == 0 and column in UNDEFINED_AT_INITIALISATION and math.isnan(value)
    return NOT_EVALUATED if undefined else float(value)


def keys_of(zoo: Zoo, row: Mapping[Any, Any]) -> list[str]:
    """Names of a member's tensors, in the order of the layout: as its source spelled them, else as here."""
    origin = zoo.header.imported
    spellings = origin.keys if origin else ()
    if not spellings:
        return [slot.name for slot in zoo.layout]
    return list(spellings[int(row[KEYS])] if KEYS in row else spellings[0])
