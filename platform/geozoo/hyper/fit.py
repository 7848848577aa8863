"""The main flow of a hyper-representation: from an experiment and its zoos to a trained model. No Ray here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geozoo.errors import InputError
from geozoo.hyper.networks import Networks
from geozoo.hyper.query_images import QueryImages, images_of
from geozoo.hyper.scale import measure_scale
from geozoo.hyper.sources import align_states, keep_states, open_zoos, reference_state, select_part, zoo_symmetry
from geozoo.hyper.stream import StateStream, ZooStates
from geozoo.hyper.system import HyperSystem, Query
from geozoo.hyper.trained import LearnedZoo, ModelCard, empty_codec, save_model
from geozoo.store import open_location
from geozoo.training.draws import derived_seed
from geozoo.training.loop import Job, best_epoch, fit
from geozoo.training.settings import SAVING

if TYPE_CHECKING:
    from geozoo.hyper.codec import Codec
    from geozoo.hyper.experiment import HyperExperiment
    from geozoo.store import Location, Zoo
    from geozoo.training.checkpoint import Checkpoint
    from geozoo.training.distributed import World
    from geozoo.training.loop import Watch


@dataclass(frozen=True)
class Prepared:
    """An experiment with its zoos read: what is trained, on which states."""

    experiment: HyperExperiment
    system: HyperSystem
    train: list[ZooStates]
    validation: list[ZooStates]
    job: Job


def prepare(experiment: HyperExperiment, world: World) -> Prepared:
    """Open the zoos, choose their states, measure their scale, and build model and losses.

    The same experiment and zoos give the same start everywhere: weights are drawn from the seed.

    Raises:
        InputError: no zoo is named, a part of the split is empty, model and zoos do not fit, or a behavioural term is
            asked of a model that reconstructs windows.
        DataNotFoundError: a behavioural term needs the images of a zoo, which are not there.
    """
    settings = experiment.states
    zoos = open_zoos(experiment)
    torch.manual_seed(derived_seed(experiment.training.seed, "start"))
    codec = _start(experiment, zoos)
    train, validation = [], []
    for number, zoo in enumerate(zoos):
        learned, held_out = select_part(zoo, "train", settings), select_part(zoo, "validation", settings)
        space = codec.space(number)
        if settings.align:
            reference = reference_state(learned)
            learned, held_out = align_states(learned, reference), align_states(held_out, reference)
            space.reference.copy_(torch.from_numpy(reference))
        scale = measure_scale(learned, settings.max_weight)
        space.mean.copy_(torch.from_numpy(scale.mean))
        space.std.copy_(torch.from_numpy(scale.std))
        train.append(keep_states(learned, scale.kept))
        validation.append(_within_limit(held_out, settings.max_weight))
    dtype = torch.float64 if experiment.training.precision == "float64" else torch.float32
    queries = [_query(zoo, dtype, world) for zoo in zoos] if experiment.loss.behaviour else []
    system = HyperSystem(codec, [zoo_symmetry(zoo) for zoo in zoos], experiment, world, queries).to(dtype)
    size, seed = experiment.training.batch_size, experiment.training.seed
    job = Job(
        system=system,
        train=StateStream(train, size, world, seed, dtype),
        validation=StateStream(validation, size, world, None, dtype),
        settings=experiment.training,
        optimizer=experiment.optimizer,
        schedule=experiment.schedule,
        identity=_identity(experiment, zoos, train),
    )
    return Prepared(experiment, system, train, validation, job)


def check(experiment: HyperExperiment) -> None:
    """Raise what `prepare` would of an experiment that cannot be trained, as far as tables and headers tell."""
    zoos = open_zoos(experiment)
    _start(experiment, zoos)
    for zoo in zoos:
        for part in ("train", "validation"):
            select_part(zoo, part, experiment.states)
        if experiment.loss.behaviour:
            images_of(zoo)


def run_experiment(experiment: HyperExperiment, url: str, world: World, watch: Watch) -> None:
    """Train an experiment to ``url`` as one worker of a world, from the zoos to the finished model."""
    train_model(prepare(experiment, world), world, open_location(url), watch)


def train_model(prepared: Prepared, world: World, location: Location, watch: Watch | None = None) -> Checkpoint:
    """Train to the end, from the last checkpoint at ``location``, and write the model there; every worker calls it.

    Raises:
        TrainingError: the loss of an epoch is not finite.
        InputError: a run of other settings or zoos is there.
    """
    state = fit(prepared.job, world, location, watch)
    if world.is_first:
        save_model(location, _card(prepared, state), prepared.system.codec)
    return state


def _start(experiment: HyperExperiment, zoos: list[Zoo]) -> Codec:
    """The codec that training starts from; refused where the behavioural term would run networks of one window."""
    codec = empty_codec(experiment, [zoo.layout for zoo in zoos])
    for number, zoo in enumerate(zoos):
        if experiment.loss.behaviour and codec.model.trains_on_windows(number):
            raise InputError(
                f"loss.behaviour runs decoded networks, but model {experiment.model.name!r} reconstructs one window of "
                f"a network of zoo {zoo.header.name!r} at a time: raise model.window to its whole sequence, or leave "
                "loss.behaviour out."
            )
    return codec


def _query(zoo: Zoo, dtype: torch.dtype, world: World) -> Query:
    images = QueryImages.of(images_of(zoo), device=world.device).queries
    return Query(images.to(dtype), Networks.of(zoo))


def _within_limit(states: ZooStates, max_weight: float | None) -> ZooStates:
    return keep_states(states, measure_scale(states, max_weight).kept)


def _identity(experiment: HyperExperiment, zoos: list[Zoo], train: list[ZooStates]) -> str:
    """What a checkpoint must agree in: the states learned from, and settings but notes, places and what is saved."""
    exclude: Any = {"title": True, "provenance": True, "zoo": True, "search": True, "training": SAVING}
    tree = experiment.model_dump(mode="json", exclude=exclude)
    tree["zoos"] = [zoo.header.sha256 for zoo in zoos]
    tree["states"] = [len(states) for states in train]
    return json.dumps(tree, sort_keys=True)


def _card(prepared: Prepared, state: Checkpoint) -> ModelCard:
    learned = [
        LearnedZoo(
            name=states.zoo.header.name,
            layout=states.zoo.layout,
            members=tuple(sorted(set(states.selection.members.tolist()))),
        )
        for states in prepared.train
    ]
    return ModelCard(
        experiment=prepared.experiment,
        zoos=tuple(learned),
        history=tuple(state.history),
        best_epoch=best_epoch(state.history),
    )
