"""The main flow of self-supervised training: from an experiment and a chip store to trained encoders. No Ray here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.eo.chips import open_chips
from geozoo.errors import InputError
from geozoo.ssl.knn import knn_predict
from geozoo.ssl.pretrained import load_weights
from geozoo.ssl.split import chip_labels, split_chips
from geozoo.ssl.stream import ChipStream
from geozoo.ssl.system import ContrastiveSystem
from geozoo.ssl.teacher import TeacherSystem
from geozoo.ssl.trained import SslCard, embed, save_views
from geozoo.ssl.views import all_bands, build_views, measure_scales
from geozoo.store import open_location
from geozoo.training.batchnorm import sync_batchnorm
from geozoo.training.draws import derived_seed
from geozoo.training.loop import Job, best_epoch, fit
from geozoo.training.settings import SAVING

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips
    from geozoo.ssl.experiment import SslExperiment
    from geozoo.ssl.split import Parts, Rows
    from geozoo.store import Location
    from geozoo.training.checkpoint import Checkpoint
    from geozoo.training.distributed import World
    from geozoo.training.loop import Watch

System = ContrastiveSystem | TeacherSystem

KNN_BANK, KNN_QUERIES = 2000, 1000
"""Most training and validation chips that the nearest-neighbour read-out looks at after an epoch."""


@dataclass(frozen=True)
class Prepared:
    """An experiment with its chips split: what is trained, on which."""

    experiment: SslExperiment
    chips: Chips
    parts: Parts
    system: System
    job: Job


def prepare(experiment: SslExperiment, world: World) -> Prepared:
    """Open the chips, split them, measure their scale, and build encoders and loss.

    Raises:
        InputError: no chip store is named or there, or views and chips do not fit.
    """
    chips = _open(experiment)
    parts = split_chips(chips, experiment.split)
    seed, size = experiment.training.seed, experiment.training.batch_size
    torch.manual_seed(derived_seed(seed, "start"))
    views = build_views(experiment.views, chips.header, experiment.augmentation, chips.url)
    load_weights(views)
    measure_scales(views, chips, parts.train, seed)
    dtype = torch.float64 if experiment.training.precision == "float64" else torch.float32
    system = (TeacherSystem if experiment.teacher else ContrastiveSystem)(views, experiment, world).to(dtype)
    if world.size > 1:
        sync_batchnorm(system)
    bands = all_bands(views)
    job = Job(
        system=system,
        train=ChipStream(chips, parts.train, bands, size, world, seed, dtype, experiment.sampler),
        validation=ChipStream(chips, parts.validation, bands, size, world, None, dtype),
        settings=experiment.training,
        optimizer=experiment.optimizer,
        schedule=experiment.schedule,
        identity=_identity(experiment, chips, parts),
        monitor=_Neighbours(experiment, chips, parts, system, dtype),
    )
    return Prepared(experiment, chips, parts, system, job)


def check(experiment: SslExperiment) -> None:
    """Raise what `prepare` would of an experiment that cannot be trained, as far as tables and headers tell."""
    chips = _open(experiment)
    load_weights(build_views(experiment.views, chips.header, experiment.augmentation, chips.url))


def located(experiment: SslExperiment) -> SslExperiment:
    """The experiment with a chip store whose URL means the same in every working directory."""
    if not experiment.chips:
        return experiment
    return experiment.model_copy(update={"chips": open_location(experiment.chips).url})


def run_experiment(experiment: SslExperiment, url: str, world: World, watch: Watch) -> None:
    """Train an experiment to ``url`` as one worker of a world, from the chips to the finished encoders."""
    train_views(prepare(experiment, world), world, open_location(url), watch)


def train_views(prepared: Prepared, world: World, location: Location, watch: Watch | None = None) -> Checkpoint:
    """Train to the end, from the last checkpoint at ``location``, and write the encoders there; every worker calls it.

    Raises:
        TrainingError: the loss of an epoch is not finite.
        InputError: a run of other settings or chips is there.
    """
    state = fit(prepared.job, world, location, watch)
    if world.is_first:
        card = SslCard(
            experiment=prepared.experiment,
            chips=prepared.chips.header,
            history=tuple(state.history),
            best_epoch=best_epoch(state.history),
        )
        seen = np.concatenate([prepared.parts.train, prepared.parts.validation])
        save_views(location, card, prepared.system.views, set(prepared.chips.index["scene"].iloc[seen]))
    return state


@dataclass
class _Neighbours:
    """Accuracy on validation chips of the nearest neighbours among training chips, after every epoch."""

    experiment: SslExperiment
    chips: Chips
    parts: Parts
    system: System
    dtype: torch.dtype

    def __call__(self, world: World) -> dict[str, float]:
        """``validation_knn``; nothing where chips have no class."""
        labels = chip_labels(self.chips)
        bank, queries = (
            _some(rows[labels[rows] >= 0], most, self.experiment.training.seed)
            for rows, most in ((self.parts.train, KNN_BANK), (self.parts.validation, KNN_QUERIES))
        )
        if not len(bank) or not len(queries):
            return {}
        here = type(world)(device=world.device)
        found = []
        for rows in (bank, queries):
            bands = all_bands(self.system.views)
            stream = ChipStream(self.chips, rows, bands, 256, here, None, self.dtype, resident_bytes=0)
            found.append(torch.cat([embed(self.system.views, self.experiment, one.pixels) for one in stream.epoch(0)]))
        classes = torch.from_numpy(labels[bank]).to(found[0].device)
        predicted = knn_predict(found[0], classes, found[1]).cpu().numpy()
        return {"validation_knn": float((predicted == labels[queries]).mean())}


def _some(rows: Rows, most: int, seed: int) -> Rows:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 11]).choice(rows, most, replace=False))


def _open(experiment: SslExperiment) -> Chips:
    if not experiment.chips:
        raise InputError("the experiment names no chips: add --set chips=URL of a store made with geozoo eo ingest")
    return open_chips(experiment.chips)


def _identity(experiment: SslExperiment, chips: Chips, parts: Parts) -> str:
    """What a checkpoint must agree in: the chips learned from, and settings but notes, places and what is saved."""
    exclude: Any = {"title": True, "provenance": True, "chips": True, "training": SAVING}
    tree = experiment.model_dump(mode="json", exclude=exclude)
    tree["plan"] = chips.header.plan_sha256
    tree["train"] = len(parts.train)
    return json.dumps(tree, sort_keys=True)
