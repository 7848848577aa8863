"""The main flow: from a recipe to a zoo, and from one cohort of its plan to a commit. No Ray here."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError, PopulateError, StoreLostError, ZooMismatchError, ZooNotFoundError
from geozoo.nets import build_network, derive_layout, num_parameters
from geozoo.population import Block, CohortJob, Progress, Snapshot, choose_engine, load_engine
from geozoo.population.how import describe_run
from geozoo.recipe import HYPERPARAMETERS, cohort_size, hyperparameters_of, parse_recipe, plan_members, plan_table
from geozoo.recipe.describe import shorten
from geozoo.store import Attempt, AttemptWriter, ZooHeader, create_zoo, extend_zoo, open_zoo, refuse_derived
from geozoo.store.commit import commit_name
from geozoo.store.manifest import refuse_publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from geozoo.datasets import ImageSet
    from geozoo.population import EngineChoice
    from geozoo.recipe import Member, Recipe
    from geozoo.store import Zoo
    from geozoo.store.resume import ResumePoint


def prepare_zoo(recipe: Recipe, url: str, images: ImageSet, *, engine: str = "auto") -> Zoo:
    """Create the zoo of a recipe at ``url``, or open it and plan the members it does not have yet.

    Raises:
        InputError: there is no such engine, or it cannot train this network.
        ZooMismatchError: a zoo of another recipe, image set or engine is there.
        NetworkError: the network does not fit the images.
        StoreUnusableError: the URL cannot be written, or something is published there.
    """
    members = plan_members(recipe)
    header = _header(recipe, images, members, engine_for(recipe, images, engine).engine)
    try:
        zoo = open_zoo(url)
    except ZooNotFoundError:
        return create_zoo(url, header, _table(recipe, header, images, members, 0))
    refuse_publication(zoo.location, act="populate")
    _refuse_other(zoo, header, recipe, keep_engine=engine == "auto")
    planned = set(zoo.members["member"])
    missing = [member for member in members if member.id not in planned]
    if not missing:
        return zoo
    return extend_zoo(url, _table(recipe, header, images, missing, int(zoo.members["plan"].max()) + 1))


def engine_for(recipe: Recipe, images: ImageSet, engine: str = "auto") -> EngineChoice:
    """The engine of a name or, for ``auto``, the faster one for the recipe's largest batch; see `choose_engine`."""
    chosen = [member.hyperparameters for member in plan_members(recipe)]
    network = _network(recipe, images.channels, images.size, images.num_classes, chosen[0].activation)
    return choose_engine(engine, network, max(one.batch_size for one in chosen), recipe.training)


def _network(recipe: Recipe, channels: int, size: int, classes: int, activation: str) -> dict[str, Any]:
    """Arguments of `build_network`, for the members of a cohort."""
    named = {"channels": channels, "size": size, "classes": classes, "activation": activation}
    return {"name": recipe.network.name, **named}


def _header(recipe: Recipe, images: ImageSet, members: list[Member], engine: str) -> ZooHeader:
    activation = members[0].hyperparameters.activation
    network = _network(recipe, images.channels, images.size, images.num_classes, activation)
    return ZooHeader(
        name=recipe.name,
        recipe=recipe.model_dump(mode="json"),
        dataset=images.describe(),
        layout=derive_layout(build_network(**network)),
        checkpoints=recipe.training.checkpoint_epochs,
        dtype=recipe.store.dtype,
        engine=engine,
        precision=recipe.training.precision,
    )


def _table(recipe: Recipe, header: ZooHeader, images: ImageSet, members: list[Member], number: int) -> pd.DataFrame:
    size = cohort_size(
        members=len(members),
        params=num_parameters(header.layout),
        dtype=recipe.store.dtype,
        updates=len(images.train) * recipe.training.epochs,
    )
    return plan_table(members, size, number)


def _refuse_other(zoo: Zoo, header: ZooHeader, recipe: Recipe, *, keep_engine: bool) -> None:
    """Raise `ZooMismatchError`, showing the differences, where a zoo was not made from this recipe, data and engine."""
    refuse_derived(zoo, "populate")
    made_from = parse_recipe(zoo.header.recipe, f"the recipe of the zoo at {zoo.url}")
    there, here = made_from.zoo_identity(), recipe.zoo_identity()
    differences = list(_differences(there, here))
    if zoo.header.dataset["fingerprint"] != header.dataset["fingerprint"]:
        differences.append("the decoded images (their fingerprints differ)")
    if not keep_engine and zoo.header.engine != header.engine:
        differences.append(f"engine: {zoo.header.engine} there, {header.engine} here")
    if differences:
        raise ZooMismatchError(
            f"the zoo at {zoo.url} was made from something else ({'; '.join(differences)}): "
            "write to another URL, or go on with the recipe it was made from."
        )


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            yield from _differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
    elif there != here:
        yield f"{name}: {shorten(there)} there, {shorten(here)} here"


def pending_cohorts(zoo: Zoo) -> list[str]:
    """The planned cohorts without a commit, in planning order."""
    members = zoo.members
    return list(dict.fromkeys(members.loc[~members["committed"], "cohort"]))


def is_committed(zoo: Zoo, cohort: str) -> bool:
    """Whether a cohort has a commit by now, which may be newer than the opened zoo."""
    return zoo.location.exists(commit_name(cohort))


def cohort_job(zoo: Zoo, cohort: str) -> CohortJob:
    """What an engine is asked for one cohort of a zoo's plan.

    Raises:
        ZooMismatchError: the zoo was imported or merged, so that nothing here tells how to train it.
    """
    refuse_derived(zoo, "train")
    return members_job(zoo.header, zoo.plan_of(cohort))


def members_job(header: ZooHeader, rows: pd.DataFrame) -> CohortJob:
    """What an engine is asked for some rows of a plan, all of one cohort."""
    from geozoo.population.initial import initial_weights

    hyperparameters = tuple(hyperparameters_of(row) for row in rows[list(HYPERPARAMETERS)].to_dict("records"))
    recipe = parse_recipe(header.recipe)
    data = header.dataset
    network = _network(recipe, data["channels"], data["size"], len(data["classes"]), hyperparameters[0].activation)
    seeds = rows["seed"].to_numpy()
    return CohortJob(
        network=network,
        initial=initial_weights(network, seeds, hyperparameters),
        seeds=seeds,
        hyperparameters=hyperparameters,
        checkpoints=header.evaluated_epochs,
        epochs=recipe.training.epochs,
        evaluation=recipe.evaluation,
        precision=header.precision,
        schedule=recipe.training.schedule,
        augmentation=recipe.training.augmentation,
    )


def train_cohort(
    zoo: Zoo, cohort: str, images: ImageSet, threads: int = 1, on_note: Callable[[str], None] | None = None
) -> Iterator[Progress]:
    """Train one cohort, ``threads`` members at a time, and commit it: plan, engine, attempt, commit.

    Gives the engine's progress on the way; the cohort is committed when the iterator ends. If it does not get there,
    the attempt's objects are removed where that is still possible, but for a resume point, and no reader ever sees them
    in any case. If another attempt was committed meanwhile, that one stands. Training goes on from the latest resume
    point of an earlier attempt; ``on_note`` is told so in a sentence, and of one that is damaged and passed over.
    """
    job = cohort_job(zoo, cohort)
    attempt = Attempt.begin(zoo.location, zoo.header, zoo.plan_of(cohort))
    notes: list[str] = []
    started = time.monotonic()

    def note(sentence: str) -> None:
        notes.append(sentence)
        if on_note is not None:
            on_note(sentence)

    def how() -> dict[str, Any]:
        run = describe_run(zoo.header.engine, wall_s=time.monotonic() - started, threads=threads)
        return run | ({"went_on_after": point.epoch, "before": point.how} if point else {})

    try:
        point = attempt.resume_point(note)
        if point is not None:
            note(f"cohort {cohort} goes on after epoch {point.epoch}.")
        with AttemptWriter(attempt) as writer:
            for progress in _progress(zoo, job, images, threads, point):
                if progress.block is not None:
                    writer.append(progress.block.epoch, progress.block.weights, progress.block.metrics)
                if progress.snapshot is not None and writer.resume_point_is_due():
                    snapshot = progress.snapshot()
                    writer.keep(snapshot.epoch, snapshot.arrays(), how())
                yield progress
    except BaseException:
        attempt.abandon()
        raise
    attempt.commit(how() | ({"notes": notes} if notes else {}))


def _progress(
    zoo: Zoo, job: CohortJob, images: ImageSet, threads: int, point: ResumePoint | None
) -> Iterator[Progress]:
    """What a resume point holds, as though it were trained now, then what the engine trains."""
    start = None
    if point is not None:
        members = len(job.seeds)
        start = Snapshot.of(point.epoch, members, point.state)
        for block in point.blocks():
            yield Progress(0, Block(*block))
        yield Progress(members * len(images.train) * point.epoch)
    yield from load_engine(zoo.header.engine, threads).train(job, images, start)


@dataclass(frozen=True)
class Work:
    """An amount of work: members finished, states written, images presented in training."""

    members: int = 0
    states: int = 0
    samples: int = 0

    def __add__(self, other: Work) -> Work:
        """Sum."""
        return Work(self.members + other.members, self.states + other.states, self.samples + other.samples)


def work_of(zoo: Zoo, images: ImageSet, cohorts: list[str]) -> Work:
    """How much work some cohorts are."""
    members = int(zoo.members["cohort"].isin(cohorts).sum())
    return Work(
        members, members * len(zoo.header.checkpoints), members * len(images.train) * zoo.header.checkpoints[-1]
    )


def work_done(zoo: Zoo, members: int, progress: Progress) -> Work:
    """How much of `work_of` the progress of a cohort of so many members is."""
    stored = progress.block is not None and progress.block.epoch in zoo.header.checkpoints
    return Work(states=members if stored else 0, samples=progress.samples)


def populate_here(
    zoo: Zoo,
    images: ImageSet,
    on_work: Callable[[Work], None],
    threads: int | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Train the pending cohorts one after the other in this process, with ``threads`` (default: one a core).

    ``on_note`` is told in a sentence which cohorts go on from a resume point. When the store fails it stops there:
    returned is the error of that cohort, by cohort; committed cohorts stand.
    """
    threads = threads or available_cores()
    for cohort in pending_cohorts(zoo):
        size = int((zoo.members["cohort"] == cohort).sum())
        try:
            for progress in train_cohort(zoo, cohort, images, threads, on_note):
                on_work(work_done(zoo, size, progress))
        except StoreLostError as error:
            return {cohort: str(error)}
        on_work(Work(members=size))
    return {}


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def complete_zoo(url: str, errors: dict[str, str]) -> Zoo:
    """Open a zoo after a run and make sure that all its cohorts are committed.

    Raises:
        PopulateError: some are not; the sentence says how many, the first of ``errors`` (by cohort) and how to go on.
        StoreLostError: the store cannot be read any more.
    """
    try:
        zoo = open_zoo(url)
    except InputError as error:
        raise StoreLostError(
            f"the store was lost during the run ({str(error).rstrip('.')}): "
            f"once {url} is back, run the same command again."
        ) from error
    left = pending_cohorts(zoo)
    if left:
        cause = next((f" (cohort {cohort}: {text.rstrip('.')})" for cohort, text in errors.items()), "")
        raise PopulateError(
            f"{len(left)} of {zoo.members['cohort'].nunique()} cohorts of {url} are not committed{cause}: "
            "the others stand; mend the cause and run the same command again to train just these."
        )
    return zoo
