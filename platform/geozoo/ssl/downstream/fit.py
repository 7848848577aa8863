"""How heads learn from labels: the same loop for a linear layer and for everything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geozoo.eo.tiles import IGNORE
from geozoo.ssl.augment import Geometry
from geozoo.ssl.downstream.metrics import ClassCounts, LabelCounts
from geozoo.training.draws import derived_seed
from geozoo.training.optimizers import make_schedule
from geozoo.weights.draws import RowDraws

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.ssl.downstream.data import LabelledChips
    from geozoo.ssl.downstream.experiment import FitSettings, Task
    from geozoo.ssl.downstream.heads import Encoders
    from geozoo.ssl.downstream.metrics import Score
    from geozoo.ssl.experiment import AugmentationSettings

EVALUATED = 2**20
"""Pixels of a batch that is only looked at, at most."""


def count_updates(settings: FitSettings, labels: int) -> int:
    """Steps of the optimiser."""
    if settings.updates is not None:
        return settings.updates
    assert settings.epochs is not None
    return settings.epochs * -(-labels // settings.batch_size)


def fit_heads(
    encoders: Encoders,
    heads: Sequence[nn.Module],
    rates: Sequence[float],
    data: LabelledChips,
    settings: FitSettings,
    augmentation: AugmentationSettings,
    seed: int,
    device: str = "cpu",
) -> list[float]:
    """Train in place; batches and augmentations depend on the seed alone, so that methods are compared in pairs.

    Encoders and heads must be on the device; augmentations on a GPU draw other numbers than on a CPU. With several
    ``heads`` on one frozen encoder each learns at its own rate from the same features; encoders that are trained too
    have one head and one rate.

    Returns:
        The mean training loss of each head over the last tenth of the updates.
    """
    updates = count_updates(settings, len(data.places))
    optimizers = [_optimizer(encoders, head, rate, settings) for head, rate in zip(heads, rates, strict=True)]
    schedules = [make_schedule(optimizer, settings.schedule, updates) for optimizer in optimizers]
    epoch = -(-len(data.places) // settings.batch_size)
    places = data.endless(settings.batch_size, seed)
    late, this_epoch = (torch.zeros(len(heads), dtype=torch.float64, device=device) for _ in range(2))
    counted = max(1, updates // 10)
    encoders.train()
    for head in heads:
        head.train()
    for step in range(updates):
        pixels, truth = data.take(next(places), device)
        generator = torch.Generator(device).manual_seed(derived_seed(seed, "labels", step))
        draws = RowDraws.of(generator, len(truth))
        geometry = Geometry.draw(augmentation, draws)
        answers = data.answers(truth, geometry)
        with torch.set_grad_enabled(not encoders.frozen):
            features = encoders.drawn_features(pixels, geometry, augmentation, draws)
        for number, (head, optimizer, schedule) in enumerate(zip(heads, optimizers, schedules, strict=True)):
            loss = task_loss(head(features), answers, data.task)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.after_step()
            this_epoch[number] += loss.detach()
            if step >= updates - counted:
                late[number] += loss.detach()
        if (step + 1) % epoch == 0:
            for schedule, total in zip(schedules, this_epoch.tolist(), strict=True):
                schedule.after_epoch(total / epoch)
            this_epoch.zero_()
    return [total / counted for total in late.tolist()]


def score_heads(
    encoders: Encoders,
    heads: Sequence[nn.Module],
    data: LabelledChips,
    augmentation: AugmentationSettings,
    device: str = "cpu",
) -> list[Score]:
    """The score of each head on all chips, seen whole or cropped in the middle."""
    new = LabelCounts if data.task == "multi" else partial(ClassCounts, pixels=data.task == "segmentation")
    counts: list[LabelCounts | ClassCounts] = [new(data.classes) for _ in heads]
    encoders.eval()
    with torch.no_grad():
        for pixels, geometry, answers in evaluated(data, augmentation, device):
            features = encoders.features(pixels, geometry)
            for head, counted in zip(heads, counts, strict=True):
                head.eval()
                counted.add(head(features), answers)
    return [counted.score() for counted in counts]


def evaluated(
    data: LabelledChips, augmentation: AugmentationSettings, device: str
) -> Iterator[tuple[dict[str, Tensor], Geometry, Tensor]]:
    """All chips once, in batches, as evaluation sees them: pixels, where the middle is cut from them, and answers."""
    side = augmentation.crop or next(iter(data.pixels.values())).shape[-1]
    for pixels, truth in data.batches(max(1, EVALUATED // side**2), device):
        geometry = Geometry.centred(augmentation, len(truth), device)
        yield pixels, geometry, data.answers(truth, geometry)


def task_loss(logits: Tensor, truth: Tensor, task: Task) -> Tensor:
    """Cross-entropy over chips or pixels that are not `IGNORE`, or binary cross-entropy over classes; a mean."""
    if task == "multi":
        return F.binary_cross_entropy_with_logits(logits, truth)
    total = F.cross_entropy(logits, truth, ignore_index=IGNORE, reduction="sum")
    return total / (truth != IGNORE).sum().clamp_min(1)


def _optimizer(encoders: Encoders, head: nn.Module, rate: float, settings: FitSettings) -> torch.optim.Optimizer:
    groups = [{"params": list(head.parameters()), "lr": rate}]
    if not encoders.frozen:
        groups.append({"params": list(encoders.views.parameters()), "lr": rate * settings.encoder_rate})
    chosen = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return chosen(groups, weight_decay=settings.weight_decay)
