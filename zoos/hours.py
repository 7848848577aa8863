"""How many core-hours a zoo takes, estimated from what ``tests/benchmarks`` measured on one core."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geozoo.datasets import find_record
from geozoo.datasets.split import split_rows
from geozoo.nets import build_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.recipe import Recipe

RESULTS = Path(__file__).parents[1] / "tests" / "benchmarks" / "results"

IMAGES = {
    "digits": (1_797, 0, 0),
    "mnist": (60_000, 0, 10_000),
    "fmnist": (60_000, 0, 10_000),
    "usps": (7_291, 0, 2_007),
    "svhn": (73_257, 0, 26_032),
    "cifar10": (50_000, 0, 10_000),
    "cifar100": (50_000, 0, 10_000),
    "stl10": (5_000, 0, 8_000),
    "tiny_imagenet": (100_000, 0, 10_000),
    "eurosat": (27_000, 0, 0),
    "tetris": (1_040, 208, 208),
}
"""Images of the complete set to split, and those it brings for validation and test."""

BENCHMARKED = {"cnn_s": (1, 28, 10), "unterthiner": (1, 28, 10), "cnn_l": (3, 32, 10), "tetris_mlp": (1, 4, 4)} | {
    "resnet18": (3, 32, 10)
}
"""Channels, size and classes of the networks as they were measured."""

EVALUATED_PER_TRAINED = {"cnn_s": 3_000 / 3_000, "unterthiner": 3_000 / 3_000, "cnn_l": 3_000 / 1_500} | {
    "tetris_mlp": 1_832 / 1_040
}
"""Images evaluated over images trained on in ``tests/benchmarks/engines.py``, 500 of each split and two evaluations."""

BACKWARD = 2
"""Of ResNet-18 training alone was measured: evaluation is taken to be the forward third of it."""


@dataclass(frozen=True)
class Rate:
    """Seconds on one core for one image trained on and for one evaluated."""

    training: float
    evaluating: float


@cache
def products(network: str, channels: int, size: int, classes: int) -> int:
    """Products of one image's way through the convolutions and linear layers of a network."""
    import torch
    from torch import nn

    module = build_network(network, channels=channels, size=size, classes=classes, activation="relu").eval()
    counted = []

    def count(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        counted.append(weight.numel() * output.shape[2:].numel())

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module(torch.zeros(1, channels, size, size))
    return sum(counted)


def shape_of(recipe: Recipe) -> tuple[int, int, int]:
    """Channels, size and classes of the images."""
    record = find_record(recipe.dataset.name)
    assert recipe.dataset.channels is not None
    assert recipe.dataset.size is not None
    assert record.num_classes is not None
    return recipe.dataset.channels, recipe.dataset.size, record.num_classes


def split_sizes(recipe: Recipe) -> dict[str, int]:
    """Images of every split of the complete set, limits applied."""
    record, options = find_record(recipe.dataset.name), recipe.dataset
    pool, validation, test = IMAGES[options.name]
    parts = split_rows(pool, options.validation or record.validation, record.test, 0)
    full = dict(zip(("train", "validation", "test"), map(len, parts), strict=True))
    full = {"train": full["train"], "validation": validation or full["validation"], "test": test or full["test"]}
    return {name: min(count, getattr(options.limits, name) or count) for name, count in full.items()}


@cache
def rates() -> dict[tuple[str, int], dict[str, Rate]]:
    """Measured rates by network and batch, and by engine."""
    found: dict[tuple[str, int], dict[str, Rate]] = {}
    for row in _rows("engines"):
        network = row["network, images"].partition(",")[0]
        shares = [_first(text) / 100 for text in row["evaluating: loop, lanes"].split(",")]
        loop, lanes = (1 / _first(row[f"{engine}, samples/s"]) for engine in ("loop", "lanes"))
        evaluating = [
            seconds * share / (1 - share) / EVALUATED_PER_TRAINED[network]
            for seconds, share in zip((loop, lanes), shares, strict=True)
        ]
        found[network, int(row["batch"])] = {
            "loop": Rate(loop, evaluating[0]),
            "lanes": Rate(lanes, evaluating[1]),
            "torch": Rate(lanes * _first(row["lanes over torch"]), evaluating[0]),
        }
    for row in _rows("gpu"):
        if row["network, images"].startswith("resnet18") and row["arithmetic"] == "float32":
            seconds = {"loop": 1 / _first(row["loop, samples/s"]), "torch": 1 / _first(row["engine, samples/s"])}
            made = {engine: Rate(one, one / (1 + BACKWARD)) for engine, one in seconds.items()}
            found["resnet18", int(row["batch"])] = made
    return found


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _rows(name: str) -> list[dict[str, str]]:
    result = _read(name)
    if not result["machine"].get("device", "no GPU").startswith("no GPU"):
        return []  # these hours are of one core
    return [dict(zip(result["columns"], row, strict=True)) for row in result["rows"]]


def _first(text: str) -> float:
    """The first number of a cell."""
    match = re.search(r"[\d,]+(\.\d+)?", text)
    assert match is not None, text
    return float(match[0].replace(",", ""))


def hours(recipe: Recipe, members: int, engine: str) -> float | None:
    """Core-hours to populate a zoo; None where the network was not measured with this engine.

    Images trained on and evaluated, times the seconds that one image took at the nearest batch size measured, times
    the products of the network over those of the network measured (other channels, sizes and classes).
    """
    network, shape = recipe.network.name, shape_of(recipe)
    batch = recipe.population.values_of("batch_size")[0]
    measured = [key for key in rates() if key[0] == network and engine in rates()[key]]
    if not measured:
        return None
    rate = rates()[min(measured, key=lambda key: abs(key[1] - batch))][engine]
    sizes = split_sizes(recipe)
    evaluated = sum(min(count, getattr(recipe.evaluation, name) or count) for name, count in sizes.items())
    training = recipe.training
    seconds = training.epochs * sizes["train"] * rate.training
    seconds += len(training.evaluated_epochs) * evaluated * rate.evaluating
    return members * seconds * products(network, *shape) / products(network, *BENCHMARKED[network]) / 3600


def measured_hours() -> Iterator[tuple[str, int, float]]:
    """What populating whole zoos took: recipe, members, core-hours as wall time of the command times cores."""
    for row in _rows("working_zoos"):
        yield row["recipe"].strip("`"), int(_first(row["members"])), _core_hours("working_zoos", row)
    largest = _rows("scale")[-1]
    yield "tetris_seed", int(_first(largest["members"])), _core_hours("scale", largest)


def _core_hours(name: str, row: dict[str, str]) -> float:
    cores = int(_read(name)["machine"]["processor"].rpartition(",")[2].split()[0])
    return _first(row["wall time"]) * cores / 3600
