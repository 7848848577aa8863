"""A permutation-invariant predictor of properties, trained end to end on weights: the strong baseline of probes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from geozoo.errors import InputError
from geozoo.hyper.probing.invariant import InvariantNetwork
from geozoo.hyper.probing.outputs import code_outputs, decode_outputs, encode_targets, known_targets, outputs_loss
from geozoo.recipe.space import Count, Frozen, Positive
from geozoo.weights.statistics import layer_statistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from geozoo.hyper.probing.outputs import Output
    from geozoo.hyper.probing.states import Progress
    from geozoo.hyper.probing.targets import Target
    from geozoo.weights.wiring import Wiring

_PREDICT_BATCH = 256
_LARGEST_GRADIENT = 1.0


class EquivariantSettings(Frozen):
    """How the predictor is built and trained; the defaults take minutes on 16,000 states of ``cnn_s`` and one core.

    ``channels`` of each equivariant layer and ``hidden`` units of the head; Adam in batches of ``batch_size``, the
    learning rate rising to ``lr`` over a tenth of the steps and falling to nothing over the rest of ``epochs``, of
    which no more are trained after ``patience`` in a row without a lower validation loss.
    """

    channels: tuple[Count, ...] = (8, 8)
    hidden: Count = 256
    batch_size: Count = 64
    lr: Positive = 1e-3
    epochs: Count = 10
    patience: Count = 4


@dataclass(frozen=True)
class EquivariantPredictor:
    """A fitted predictor; ``epochs`` were trained, and the weights kept are those of the least ``validation_loss``."""

    network: InvariantNetwork
    outputs: tuple[Output, ...]
    wiring: Wiring
    epochs: int
    validation_loss: float

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Predict all targets of states ``[n, params]``, by name: float64 ``[n]``, or class names for a class.

        Numbers are held within their range among the training states.
        """
        states = _States.of(weights, self.wiring)
        return decode_outputs(_predict(self.network, states), self.outputs)


def fit_equivariant(
    train_weights: np.ndarray,
    train_targets: Sequence[Target],
    validation_weights: np.ndarray,
    validation_targets: Sequence[Target],
    wiring: Wiring,
    *,
    settings: EquivariantSettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> EquivariantPredictor:
    """Train one network for all targets at once; its predictions do not depend on the order of hidden units.

    The network is :class:`geozoo.hyper.probing.invariant.InvariantNetwork` on the weights and their layer statistics
    (:func:`geozoo.weights.statistics.layer_statistics`). The published one (Zhou et al. 2023, arXiv 2302.14040)
    predicts one accuracy through a sigmoid; here every regression target is a standardised output under squared error
    and every classification target a softmax, all of equal weight, and what is missing is masked.

    Args:
        train_weights: ``[n, params]``, finite.
        train_targets: of these states; missing values are NaN or an empty string.
        validation_weights: ``[m, params]``, finite, for stopping.
        validation_targets: of these, with the names of the training targets in their order.
        wiring: of the network (:func:`geozoo.weights.wiring.network_wiring`).
        settings: of network and training.
        seed: of initial weights and order; torch's own generator is left as it was.
        progress: called with what is being done, the epochs done and the epochs there can be.

    Raises:
        InputError: the package ``nfn`` is missing, there is no target or one without a training value, the
            validation targets are others, or no validation state has a value.
        NetworkError: the network is more than a row of layers.
    """
    chosen, report = settings or EquivariantSettings(), progress or (lambda *_: None)
    outputs = code_outputs(train_targets)
    train, validation = _States.of(train_weights, wiring), _States.of(validation_weights, wiring)
    coded, held_out = encode_targets(train_targets, outputs), encode_targets(validation_targets, outputs)
    if not known_targets(held_out, outputs).any():
        raise InputError("no validation state has a value to predict: give some, training is stopped by them.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = InvariantNetwork(
            wiring,
            chosen.channels,
            chosen.hidden,
            statistics=train.statistics.shape[1],
            outputs=sum(output.width for output in outputs),
        )
        network.standardise(train.weights, train.statistics)
        best, best_epoch, kept = float("inf"), 0, network.state_dict()
        for epoch in _epochs(network, train, coded, outputs, chosen):
            report("training the equivariant predictor", epoch, chosen.epochs)
            loss = float(outputs_loss(_predict(network, validation), held_out, outputs))
            if loss < best:
                best, best_epoch, kept = loss, epoch, copy.deepcopy(network.state_dict())
            if epoch - best_epoch >= chosen.patience:
                break
    network.load_state_dict(kept)
    return EquivariantPredictor(network, outputs, wiring, epoch, best)


@dataclass(frozen=True)
class _States:
    """Weights ``[n, params]`` and their layer statistics ``[n, statistics]``."""

    weights: Tensor
    statistics: Tensor

    @classmethod
    def of(cls, weights: np.ndarray, wiring: Wiring) -> _States:
        statistics = layer_statistics(weights, wiring.layout)[0].astype(np.float32)
        return cls(torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)), torch.from_numpy(statistics))

    def __len__(self) -> int:
        return len(self.weights)


def _epochs(
    network: InvariantNetwork,
    train: _States,
    coded: Tensor,
    outputs: Sequence[Output],
    settings: EquivariantSettings,
) -> Iterator[int]:
    """Train epoch by epoch, counted from 1; the last, smaller batch of each is left out."""
    size = min(settings.batch_size, len(train))
    steps = settings.epochs * (len(train) // size)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps + 1, pct_start=0.1)
    for epoch in range(settings.epochs):
        network.train()
        for rows in torch.randperm(len(train)).split(size)[: len(train) // size]:
            loss = outputs_loss(network(train.weights[rows], train.statistics[rows]), coded[rows], outputs)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
        yield epoch + 1


@torch.no_grad()
def _predict(network: InvariantNetwork, states: _States) -> Tensor:
    """Raw outputs ``[n, outputs]`` in evaluation mode."""
    network.eval()
    pairs = zip(states.weights.split(_PREDICT_BATCH), states.statistics.split(_PREDICT_BATCH), strict=True)
    return torch.cat([network(weights, statistics) for weights, statistics in pairs])
