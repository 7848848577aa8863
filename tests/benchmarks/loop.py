"""The baseline: one network trained the usual way in PyTorch, in one thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geozoo.datasets import normalise
from geozoo.nets import build_network

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet, ImageSplit


@dataclass(frozen=True)
class Timed:
    """Seconds of training and of evaluating, and the images presented in training."""

    training: float
    evaluating: float
    samples: int

    @property
    def total(self) -> float:
        """Seconds a sample, evaluation included."""
        return (self.training + self.evaluating) / self.samples


def tensors(split: ImageSplit, images: ImageSet, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """A split, normalised, as float32 tensors."""
    pixels = torch.from_numpy(normalise(split.images, images.mean, images.std))
    return pixels.to(device), torch.tensor(split.labels, device=device)


def train_one(
    network: dict[str, Any], images: ImageSet, *, batch_size: int, evaluated: int, lr: float = 1e-3, device: str = "cpu"
) -> Timed:
    """Train one network for one epoch with Adam; evaluate it before and after on ``evaluated`` images a split."""
    module = build_network(**network).to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    pixels, labels = tensors(images.train, images, device)
    parts = [
        tensors(part.take(slice(evaluated)), images, device) for part in (images.train, images.validation, images.test)
    ]
    evaluating = _evaluate(module, parts)
    started = _now(device)
    module.train()
    order = torch.randperm(len(labels), device=device)
    for batch in order.split(batch_size):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(pixels[batch]), labels[batch]).backward()
        optimizer.step()
    training = _now(device) - started
    return Timed(training, evaluating + _evaluate(module, parts), len(labels))


def _evaluate(module: torch.nn.Module, parts: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    device = parts[0][0].device.type
    started = _now(device)
    module.eval()
    with torch.no_grad():
        for pixels, labels in parts:
            for some, right in zip(pixels.split(1000), labels.split(1000), strict=True):
                logits = module(some)
                torch.nn.functional.cross_entropy(logits, right).item()
                (logits.argmax(1) == right).sum().item()
    return _now(device) - started


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
