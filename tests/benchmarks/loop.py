"""The baselines: one network trained the usual way in PyTorch, on one thread or one GPU."""

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


def train_one_resnet(images: ImageSet, batch_size: int, bfloat16: bool, evaluated: int, device: str) -> Timed:
    """Train a ResNet-18 for one epoch: SGD, OneCycle, images moved by up to four pixels and mirrored on the device."""
    module = build_network(
        "resnet18", channels=images.channels, size=images.size, classes=images.num_classes, activation="relu"
    ).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    pixels, labels = tensors(images.train, images, device)
    parts = [
        tensors(part.take(slice(evaluated)), images, device) for part in (images.train, images.validation, images.test)
    ]
    padded = torch.nn.functional.pad(pixels, (4, 4, 4, 4))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=-(-len(labels) // batch_size))
    evaluating = _evaluate(module, parts, bfloat16)
    started = _now(device)
    module.train()
    side = torch.arange(images.size, device=device)
    for batch in torch.randperm(len(labels), device=device).split(batch_size):
        down, right = torch.randint(9, (2, len(batch), 1), device=device)
        columns = torch.where(torch.rand(len(batch), 1, device=device) < 0.5, side, side.flip(0)) + right
        channels = torch.arange(images.channels, device=device)[:, None, None]
        moved = padded[batch[:, None, None, None], channels, (side + down)[:, None, :, None], columns[:, None, None]]
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            logits = module(moved.contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits.float(), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    training = _now(device) - started
    return Timed(training, evaluating + _evaluate(module, parts, bfloat16), len(labels))


def _evaluate(module: torch.nn.Module, parts: list[tuple[torch.Tensor, torch.Tensor]], bfloat16: bool = False) -> float:
    device = parts[0][0].device.type
    started = _now(device)
    module.eval()
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
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
