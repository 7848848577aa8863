"""Members that train one by one: large networks, and those with BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geozoo.nets import build_network, derive_layout, flatten, load_flat
from geozoo.population.augmentation import AUGMENTATIONS
from geozoo.population.dropout import StreamDropout, dropout_keys, dropout_layers, dropout_rates
from geozoo.population.engine import signs_of_life
from geozoo.population.going_on import member_state, restore_member
from geozoo.population.optimizers import OPTIMIZERS
from geozoo.population.schedules import torch_schedule
from geozoo.population.streams import data_order
from geozoo.population.tensors import Pixels, Resident, autocast, image_losses, right_answers, weights_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geozoo.population.engine import CohortJob, Progress

STACKED_PARAMETERS = 1_000_000
"""A network with more fills a GPU by itself, so that stacking members of it gains nothing."""


def trains_alone(module: nn.Module) -> bool:
    """Whether members of this network are trained one by one."""
    return sum(p.numel() for p in module.parameters()) > STACKED_PARAMETERS or any(
        isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules()
    )


class Single:
    """One member in training as a plain module, its maps in ``channels_last``, with an optimiser of `torch.optim`.

    Attributes, each with one entry for the one member: ``finite``; ``losses`` and ``correct``, sums over the epoch.
    """

    def __init__(self, job: CohortJob, train: Resident, pixels: Pixels, total_steps: int) -> None:
        device = train.images.device
        (hyperparameters,) = job.hyperparameters
        self.train, self.pixels, self.job = train, pixels, job
        self.seeds = torch.tensor(job.seeds, device=device)
        self.module = build_network(**job.network, make_dropout=StreamDropout).to(device, weights_dtype(job.precision))
        self.module.to(memory_format=torch.channels_last)
        self.layout = derive_layout(self.module)
        load_flat(self.module, torch.from_numpy(job.initial[0].copy()), self.layout)
        self.dropouts = dropout_layers(self.module)
        thresholds, scales = dropout_rates(torch.tensor([hyperparameters.dropout], dtype=torch.float64))
        for layer in self.dropouts.values():
            layer.threshold, layer.scale = thresholds[0].to(device), scales[0].to(device)
        self.optimizer = OPTIMIZERS[hyperparameters.optimizer].reference(self.module.parameters(), hyperparameters)
        self.schedule = torch_schedule(job, self.optimizer, total_steps)
        self.augment = AUGMENTATIONS[job.augmentation]
        self.finite = self.stored().isfinite().all(1)
        self.losses = torch.zeros(1, dtype=torch.float64, device=device)
        self.correct = torch.zeros(1, dtype=torch.int64, device=device)

    def stored(self) -> Tensor:
        """The weights ``[1, params]`` as a block gives them: float32, a copy."""
        return flatten(self.module.state_dict(), self.layout).float()[None]

    def states(self) -> list[dict[str, NDArray[Any]]]:
        """What training goes on from."""
        return [member_state(self.module, self.optimizer, self.schedule)]

    def restore(self, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from `states`."""
        (state,) = states
        restore_member(state, self.module, self.optimizer, self.schedule)
        self.finite = self.stored().isfinite().all(1)

    def train_epoch(self, epoch: int) -> Iterator[Progress]:
        """Train one epoch; a member that diverged before is left alone."""
        self.losses.zero_()
        self.correct.zero_()
        if not self.finite.all():
            self.losses.fill_(torch.nan)
            return
        yield from signs_of_life(self._steps(epoch))
        self.finite = self.stored().isfinite().all(1)

    def _steps(self, epoch: int) -> Iterator[int]:
        """Train on one batch after the other; how many images each had."""
        order = torch.from_numpy(data_order(self.job.seeds, epoch, len(self.train.labels))[0])
        self.module.train()
        for step, batch in enumerate(order.to(self.train.images.device).split(self.job.batch_size)):
            self._train_on(batch, epoch, step)
            yield len(batch)

    def _train_on(self, rows: Tensor, epoch: int, step: int) -> None:
        for name, key in dropout_keys(self.dropouts, self.seeds[0], epoch, step).items():
            self.dropouts[name].key = key
        labels = self.train.labels[rows]
        logits = self._logits(self.augment(self.train.images[rows], self.seeds[0], epoch, step))
        losses = image_losses(logits, labels)
        self.optimizer.zero_grad()
        losses.mean().backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.losses += losses.detach().double().sum()
        self.correct += right_answers(logits.detach(), labels).sum()

    def _logits(self, images: Tensor) -> Tensor:
        inputs = self.pixels(images).contiguous(memory_format=torch.channels_last)
        with autocast(self.job.precision, images.device.type):
            logits: Tensor = self.module(inputs)
        return logits.to(inputs.dtype)

    def evaluate(self, part: Resident, at_once: int) -> tuple[Tensor, Tensor]:
        """Sums of losses and of right answers ``[1]`` over the images of a split, in evaluation mode."""
        losses, correct = torch.zeros_like(self.losses), torch.zeros_like(self.correct)
        self.module.eval()
        with torch.no_grad():
            for images, labels in zip(part.images.split(at_once), part.labels.split(at_once), strict=True):
                logits = self._logits(images)
                losses += image_losses(logits, labels).double().sum()
                correct += right_answers(logits, labels).sum()
        return losses, correct
