"""The audit: chosen members are trained anew, cohort by cohort, and compared with what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.audit.compare import TWIN_NOISE, TWINS, Checkpoint, Comparison
from geozoo.audit.conditions import other_conditions
from geozoo.audit.evaluate import Evaluator
from geozoo.datasets import load_image_set
from geozoo.errors import InputError, ZooMismatchError
from geozoo.nets import build_network, derive_layout
from geozoo.populate import members_job
from geozoo.population import Block, find_engine, load_engine
from geozoo.recipe import hyperparameters_of, member_id, parse_recipe
from geozoo.store import Merged
from geozoo.store.best import BestSoFar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray
    from torch.nn import Module

    from geozoo.audit.outcome import MemberOutcome
    from geozoo.datasets import ImageSet
    from geozoo.population import CohortJob
    from geozoo.recipe import Recipe
    from geozoo.store import Zoo


@dataclass(frozen=True)
class CohortAudit:
    """What is trained to audit some members of one cohort.

    Attributes:
        cohort: its name.
        engine: the one that trained it.
        members: the audited members.
        job: what the engine is asked: by bits these members, or all of the cohort where the engine rounds a member
            otherwise in other company; by tolerance these members and then `TWINS` twins of them all, one set after the
            other.
        rows: the rows of ``members`` in the job.
        others: what differs from the conditions the cohort was trained under; bits are compared where nothing does.
    """

    cohort: str
    engine: str
    members: tuple[str, ...]
    job: CohortJob
    rows: NDArray[np.intp]
    others: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Image presentations of its training, for each image of the training split."""
        return len(self.job.seeds) * self.job.checkpoints[-1]


@dataclass(frozen=True)
class Audit:
    """An audit about to run: zoo, images, and what is to be trained by cohort, ``threads`` members at a time."""

    zoo: Zoo
    images: ImageSet
    cohorts: tuple[CohortAudit, ...]
    threads: int

    @property
    def samples(self) -> int:
        """Image presentations of all trainings."""
        return sum(cohort.samples for cohort in self.cohorts) * len(self.images.train)

    def run(self, on_samples: Callable[[int], None] = lambda samples: None) -> Iterator[MemberOutcome]:
        """Train and compare; gives the members of a cohort when it is done.

        ``on_samples`` is called with image presentations as they are trained.
        """
        for cohort in self.cohorts:
            yield from _audit_cohort(self, cohort, on_samples)


def prepare_audit(
    zoo: Zoo, members: Sequence[str], *, epochs: int | None = None, data: str | None = None, threads: int = 1
) -> Audit:
    """Read the images, check that members can be audited, and lay out what is to be trained.

    Args:
        zoo: the zoo.
        members: ids of committed members.
        epochs: audit checkpoints up to this epoch only.
        data: where the images are, if not where the recipe says.
        threads: members that an engine computes at a time where it can.

    Raises:
        InputError: a member is unknown or not committed, or no checkpoint is left.
        DataNotFoundError: the images are not there.
        ZooMismatchError: the images or the recipe's network are not those that the zoo names, or a member was imported.
    """
    checkpoints = tuple(epoch for epoch in zoo.checkpoints if epochs is None or epoch <= epochs)
    if not checkpoints:
        raise InputError(f"no checkpoint of {zoo.url} is within {epochs} epochs: its first is {zoo.checkpoints[0]}.")
    parts = _committed(zoo, members).groupby("cohort", sort=False)["member"]
    recipes = {str(cohort): _recipe_of(zoo, str(cohort)) for cohort in parts.groups}
    images = _images(next(iter(recipes.values())), data)
    _refuse_other(zoo, images)
    cohorts = tuple(_cohort_audit(zoo, str(cohort), list(ids), checkpoints) for cohort, ids in parts)
    return Audit(zoo, images, cohorts, threads)


def _committed(zoo: Zoo, members: Sequence[str]) -> pd.DataFrame:
    """The rows of some members."""
    rows = zoo.members.set_index("member", drop=False)
    if not members:
        raise InputError(f"no member of {zoo.url} is named: give the ids of some, see zoo.members.")
    if unknown := [member for member in members if member not in rows.index]:
        raise InputError(f"there is no member {unknown[0]!r} in {zoo.url}: see zoo.members.")
    chosen = rows.loc[list(dict.fromkeys(members))]
    if pending := list(chosen.loc[~chosen["committed"], "member"]):
        raise InputError(f"member {pending[0]} of {zoo.url} is planned but not committed: populate the zoo to the end.")
    return chosen


def _recipe_of(zoo: Zoo, cohort: str) -> Recipe:
    """The recipe that a cohort was trained by."""
    origin = zoo.header.origin
    if (origin.source_of(cohort).origin if isinstance(origin, Merged) else origin) is not None:
        raise ZooMismatchError(
            f"cohort {cohort} of {zoo.url} was imported and no recipe says how it was trained: "
            "audit members that geozoo populated."
        )
    return parse_recipe(zoo.header_of(cohort).recipe, f"the recipe of the zoo at {zoo.url}")


def _images(recipe: Recipe, data: str | None) -> ImageSet:
    if data is not None:
        tree = recipe.model_dump(mode="json")
        recipe = parse_recipe({**tree, "dataset": {**tree["dataset"], "path": data}}, "the recipe with --data")
    return load_image_set(recipe.dataset)


def _refuse_other(zoo: Zoo, images: ImageSet) -> None:
    if images.fingerprint != zoo.header.dataset["fingerprint"]:
        raise ZooMismatchError(
            f"the images read for {zoo.url} have fingerprint {images.fingerprint} and it was trained on "
            f"{zoo.header.dataset['fingerprint']}: name the files it was trained on with --data."
        )
    if derive_layout(_module(zoo)) != zoo.layout:
        raise ZooMismatchError(
            f"the layer layout in {zoo.url} is not that of the network its recipe names, "
            f"{zoo.header.network['name']}: its header is not what geozoo populate wrote."
        )


def _module(zoo: Zoo) -> Module:
    return build_network(**zoo.header.network, activation=zoo.members["activation"].iloc[0])


def _cohort_audit(zoo: Zoo, cohort: str, members: list[str], checkpoints: tuple[int, ...]) -> CohortAudit:
    plan, header = zoo.plan_of(cohort), zoo.header_of(cohort)
    engine = header.engine
    chosen = np.flatnonzero(plan["member"].isin(members))
    others = tuple(other_conditions(zoo.how()[cohort], engine))
    whole = not others and not find_engine(engine).apart(_module(zoo))
    job = members_job(header, plan if whole else plan.iloc[chosen])
    job = replace(job, checkpoints=tuple(epoch for epoch in job.checkpoints if epoch <= checkpoints[-1]))
    return CohortAudit(
        cohort=cohort,
        engine=engine,
        members=tuple(plan["member"].iloc[chosen]),
        job=_with_twins(job) if others else job,
        rows=chosen if whole else np.arange(len(chosen)),
        others=others,
    )


def _with_twins(job: CohortJob) -> CohortJob:
    """The job's members, then `TWINS` times all of them from initial weights moved by `TWIN_NOISE` of their size."""
    noise = np.random.default_rng(0).standard_normal((TWINS, *job.initial.shape))
    twins = (job.initial * (1 + TWIN_NOISE * noise)).astype(np.float32)
    return replace(
        job,
        initial=np.concatenate([job.initial, *twins]),
        seeds=np.tile(job.seeds, TWINS + 1),
        hyperparameters=job.hyperparameters * (TWINS + 1),
    )


def _audit_cohort(audit: Audit, cohort: CohortAudit, on_samples: Callable[[int], None]) -> Iterator[MemberOutcome]:
    evaluator, by_bits = Evaluator.of(cohort.job, audit.images), not cohort.others
    comparisons = [Comparison(member, cohort.cohort, evaluator, by_bits) for member in cohort.members]
    for samples, checkpoints in stored_and_retrained(audit, cohort):
        on_samples(samples)
        if checkpoints:
            for comparison, checkpoint in zip(comparisons, checkpoints, strict=True):
                comparison.add(checkpoint)
    recipe = _recipe_of(audit.zoo, cohort.cohort)
    rows = {row["member"]: row for row in audit.zoo.plan_of(cohort.cohort).to_dict("records")}
    for comparison in comparisons:
        yield _with_id(recipe, rows[comparison.member], comparison.outcome())


def stored_and_retrained(audit: Audit, cohort: CohortAudit) -> Iterator[tuple[int, list[Checkpoint]]]:
    """Train what an audit needs of one cohort.

    Gives the image presentations since the last time and, at every checkpoint, the audited members in order. Where the
    zoo keeps the best epochs, so does this: its one checkpoint comes last, after every epoch without weights.
    """
    zoo, members = audit.zoo, list(cohort.members)
    header = zoo.header_of(cohort.cohort)
    metrics, history = _by_member(zoo.read_metrics(members=members)), _by_member(zoo.read_history(members=members))
    best = BestSoFar(len(cohort.job.seeds), header.num_parameters, header.dtype) if header.keeps_best else None
    for progress in load_engine(cohort.engine, audit.threads).train(cohort.job, audit.images):
        yield progress.samples, []
        block = progress.block
        if block is not None and best is not None:
            with np.errstate(over="ignore"):
                columns = best.take(block.epoch, block.weights, block.metrics)
            weightless = Block(block.epoch, block.weights[:, :0], columns)
            yield 0, list(_checkpoints(cohort, weightless, block.weights[: len(members), :0], history, header.dtype))
            block = Block(block.epoch, best.weights, best.metrics)
        if block is not None and block.epoch in zoo.checkpoints:
            stored = zoo.states(members, block.epoch)
            yield 0, list(_checkpoints(cohort, block, stored, metrics, header.dtype))


def _by_member(table: pd.DataFrame) -> dict[tuple[str, int], dict[Any, Any]]:
    return {(row["member"], row["epoch"]): row for row in table.to_dict("records")}


def _checkpoints(
    cohort: CohortAudit,
    block: Block,
    stored: NDArray[Any],
    metrics: Mapping[tuple[str, int], Mapping[Any, Any]],
    dtype: str,
) -> Iterator[Checkpoint]:
    """The audited members at one checkpoint, in order, all weights in the stored type."""
    with np.errstate(over="ignore"):  # as the zoo stores it: a weight that float16 cannot hold is infinite
        weights, stored = block.weights.astype(dtype), stored.astype(dtype)
    for place, row in enumerate(cohort.rows):
        yield Checkpoint(
            epoch=block.epoch,
            stored=stored[place],
            stored_metrics=metrics[cohort.members[place], block.epoch],
            retrained=weights[row],
            metrics={name: values[row] for name, values in block.metrics.items()},
            twins=weights[len(cohort.rows) + place :: len(cohort.rows)] if cohort.others else weights[:0],
        )


def _with_id(recipe: Recipe, row: Mapping[Any, Any], outcome: MemberOutcome) -> MemberOutcome:
    """The outcome, or a difference where the member's id is not that of its hyper-parameters and seed."""
    expected = member_id(recipe, hyperparameters_of(row), int(row["seed"]))
    if expected == outcome.member:
        return outcome
    return replace(outcome, verdict="differs", reason=f"its recipe, hyper-parameters and seed make member {expected}")
