"""One batch of a plain stack through the compiled code of the lanes engine, and through torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from geozoo.nets import derive_layout, flatten
from geozoo.population.lanes.compiled import compiled
from geozoo.population.lanes.engine import lanes_of, make_buffers
from geozoo.population.lanes.lowering import lower
from geozoo.population.lanes.program import Op
from geozoo.population.lanes.updates import SGD
from geozoo.population.streams import keep_threshold


@dataclass(frozen=True)
class Batch:
    """Images as bytes ``[n, channels, size, size]``, labels ``[n]``, the value of every byte ``[channels, 256]``."""

    images: np.ndarray
    labels: np.ndarray
    values: np.ndarray

    @classmethod
    def random(cls, count: int, *, channels: int = 1, size: int = 4, classes: int = 3, seed: int = 0) -> Batch:
        """Noise, its bytes spread over [-2, 2] and a little apart in each channel."""
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (count, channels, size, size)).astype(np.uint8)
        values = np.linspace(-2, 2, 256) + 0.1 * np.arange(channels)[:, None]
        return cls(images, rng.integers(0, classes, count), values)

    def inputs(self) -> torch.Tensor:
        """The values of the images, float64."""
        return torch.from_numpy(np.stack([self.values[c][self.images[:, c]] for c in range(len(self.values))], axis=1))


@dataclass(frozen=True)
class Pass:
    """What a pass gives: ``logits [n, classes]``, sums over the images, the flat gradient of the mean loss.

    In ``masks`` are those of the dropout layers, ``[n, units]``; ``logit_gradients`` is ``[lanes, classes]``.
    """

    logits: np.ndarray
    loss: float
    right: int
    gradient: np.ndarray
    weights: np.ndarray
    finite: bool
    masks: list[np.ndarray]
    logit_gradients: np.ndarray


def flat_weights(module: nn.Module) -> np.ndarray:
    """The weights of a network, float64."""
    return flatten(module.state_dict(), derive_layout(module)).double().numpy()


def pass_in_lanes(
    module: nn.Module, batch: Batch, precision: str, *, lanes: int | None = None, seed: int = 1, dropout: float = 0.0,
    lr: float = 0.0, epoch: int = 1,
) -> Pass:  # fmt: skip
    """Train one step of SGD; logits, masks and logit gradients are those of the last part of the batch."""
    count, channels, size, _ = batch.images.shape
    program = lower(module, channels, size, lanes or lanes_of(count), training=True, dropout=dropout > 0)
    weights = flat_weights(module).astype(precision)[None]
    buffers = make_buffers(1, program, weights.shape[1], count, precision).get()
    images = batch.images.reshape(count, channels, size**2), batch.labels, batch.values.astype(precision)
    settings = np.array([[lr, 0, 0, keep_threshold(dropout), 1 / (1 - dropout)]])
    finite, loss, right = np.ones(1, dtype=np.uint8), np.zeros(1), np.zeros(1, dtype=np.int64)
    states = np.zeros_like(weights), np.zeros_like(weights)
    cohort = (weights, *states, settings, np.array([seed]), finite, loss, right)
    train_members, _ = compiled(precision)
    train_members(program.arguments(), buffers, images, cohort, SGD, count, epoch, (0, 1), (0, 1))

    work, gradient, order = buffers[0], buffers[1], buffers[4][0]
    last = (count - 1) // program.lanes * program.lanes
    own = slice(0, count - last)

    def by_lane(at: int, units: int) -> np.ndarray:
        return work[at : at + units * program.lanes].reshape(units, program.lanes).T.copy()

    logits = np.full((count, program.classes), np.nan)
    logits[order[last:]] = by_lane(program.logits, program.classes)[own]
    masks = [by_lane(a[4], a[5])[own] for a in program.forward.tolist() if a[0] == Op.DROP]
    of_logits = by_lane(program.logit_gradients, program.classes)
    return Pass(logits, loss[0], int(right[0]), gradient, weights[0], bool(finite[0]), masks, of_logits)


def pass_in_torch(module: nn.Module, batch: Batch) -> Pass:
    """The same from torch's autograd in float64, without a step."""
    module = module.double().train()
    module.zero_grad()
    logits, labels = module(batch.inputs()), torch.from_numpy(batch.labels)
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    losses.mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in module.parameters()]).numpy()
    right = int((logits.argmax(1) == labels).sum())
    none = np.empty(0)
    return Pass(logits.detach().numpy(), float(losses.detach().sum()), right, gradient, none, True, [], none)


def assert_same_pass(ours: Pass, theirs: Pass, tolerance: float) -> None:
    """Logits, loss and gradient agree to a tolerance relative to the largest number of each."""
    for name in ("logits", "gradient"):
        a, b = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(), err_msg=name)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=tolerance)
    assert ours.right == theirs.right


def random_stack(*layers: Any, seed: int = 0) -> nn.Sequential:
    """A stack whose weights and biases are random numbers of a size that keeps signals alive."""
    module = nn.Sequential(*layers).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        scale = (1.5 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.3
        parameter.data = scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module
