"""Which engine trains a population: the one asked for, or the faster one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError
from geozoo.nets import build_network
from geozoo.population.dropout import StreamDropout
from geozoo.population.engine import find_engine

if TYPE_CHECKING:
    from geozoo.recipe.model import Training

SPEED_UPS: dict[str, dict[int, float]] = {
    "cnn_s": {10: 11.1, 32: 12.3, 128: 12.0, 512: 18.1},
    "cnn_l": {10: 5.6, 32: 6.2, 128: 7.6, 512: 13.1},
    "unterthiner": {10: 4.8, 32: 5.2, 128: 4.9, 512: 12.3},
    "tetris_mlp": {10: 4.5, 32: 3.6, 128: 2.8, 512: 2.7},
}
"""Network -> batch size -> samples per second of ``lanes`` over those of ``torch`` on one core, Adam in float32.

Printed by ``python -m tests.benchmarks engines``; below 1, ``torch`` is the faster one.
"""


@dataclass(frozen=True)
class EngineChoice:
    """An engine's name and, as the end of a sentence, why it was chosen."""

    engine: str
    reason: str


def choose_engine(name: str, network: dict[str, Any], batch_size: int, training: Training) -> EngineChoice:
    """Choose the engine for a network, given as in `geozoo.population.CohortJob`, a batch size and a way of training.

    ``auto`` takes ``torch`` where there is a GPU or something that ``lanes`` does not know, else the faster one by
    `SPEED_UPS`: the row of the network at the nearest batch size; a network without a row goes to ``lanes``.

    Raises:
        InputError: there is no engine of that name, or it cannot train this network in this way.
    """
    module = build_network(**network, make_dropout=StreamDropout)
    shape = network["channels"], network["size"]
    if name != "auto":
        find_engine(name).fits(module, *shape, training)
        return EngineChoice(name, "asked for")
    if _has_gpu():
        return EngineChoice("torch", "there is a GPU")
    try:
        find_engine("lanes").fits(module, *shape, training)
    except InputError as error:
        return EngineChoice("torch", str(error).partition(": choose")[0])
    rows = SPEED_UPS.get(network["name"])
    if rows is None:
        return EngineChoice("lanes", f"{network['name']} is not in the table of measurements, where lanes mostly leads")
    batch = min(rows, key=lambda measured: abs(math.log(measured / batch_size)))
    first, second = ("lanes", "torch") if rows[batch] >= 1 else ("torch", "lanes")
    ratio = max(rows[batch], 1 / rows[batch])
    return EngineChoice(
        first, f"{ratio:.1f} times as fast as {second} on one core when measured on {network['name']} at batch {batch}"
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
