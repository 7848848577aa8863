"""The audit: chosen members are trained anew, cohort by cohort, and compared with what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.audit.compare import TWIN_NOISE, TWINS, Checkpoint, Comparison
from geozoo.audit.conditions import other_conditions
from geozoo.audit.evaluate import Evaluator
from geozoo.errors import InputError, ZooMismatchError
from geozoo.nets import build_network, derive_layout
from geozoo.populate import members_job
from geozoo.population import find_engine, load_engine
from geozoo.recipe import hyperparameters_of, member_id, parse_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray
    from torch.nn import Module

    from geozoo.audit.outcome import MemberOutcome
    from geozoo.datasets import ImageSet
    from geozoo.population import Block, CohortJob
    from geozoo.store import Zoo


@dataclass(frozen=True)
class CohortAudit:
    """What is trained to audit some members of one cohort.

    Attributes:
        cohort: its name.
        members: the audited members.
        job: what the engine is asked: by bits these members, or all of the cohort where the engine rounds a member
            otherwise in other company; by tolerance these members and then `TWINS` twins of them all, one set after the
            other.
        rows: the rows of ``members`` in the job.
        others: what differs from the conditions the cohort was trained under; bits are compared where nothing does.
    """

    cohort: str
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
    """An audit about to run: ``zoo``, its ``images``, and what is to be trained, by cohort."""

    zoo: Zoo
    images: ImageSet
    cohorts: tuple[CohortAudit, ...]

    @property
    def samples(self) -> int:
        """Image presentations of all trainings."""
        return sum(cohort.samples for cohort in self.cohorts) * len(self.images.train)

    def run(self, on_samples: Callable[[int], None] = lambda samples: None, threads: int = 1) -> Iterator[MemberOutcome]:
        """Train and compare; gives the members of a cohort when it is done.

        Args:
            on_samples: called with image presentations as they are trained.
            threads: members that an engine computes at a time where it can.
        """
        for cohort in self.cohorts:
            yield from _audit_cohort(self.zoo, self.images, cohort, on_samples, threads)


def prepare_audit(zoo: Zoo, images: ImageSet, members: Sequence[str], epochs: int | None = None) -> Audit:
    """Check that members can be audited on these images, and lay out what is to be trained.

    Args:
        zoo: the zoo.
        images: the image set of its recipe.
        members: ids of committed members.
        epochs: audit checkpoints up to this epoch only.

    Raises:
        InputError: a member is unknown or not committed, or no checkpoint is left.
        ZooMismatchError: the images or the recipe's network are not those that the zoo names.
    """
    _refuse_other(zoo, images)
    checkpoints = tuple(epoch for epoch in zoo.checkpoints if epochs is None or epoch <= epochs)
    if not checkpoints:
        raise InputError(f"no checkpoint of {zoo.url} is within {epochs} epochs: its first is {zoo.checkpoints[0]}.")
    rows = zoo.members.set_index("member", drop=False)
    if unknown := [member for member in members if member not in rows.index]:
        raise InputError(f"there is no member {unknown[0]!r} in {zoo.url}: see zoo.members.")
    chosen = rows.loc[list(dict.fromkeys(members))]
    if not chosen["committed"].all():
        member = chosen.loc[~chosen["committed"], "member"].iloc[0]
        raise InputError(f"member {member} of {zoo.url} is planned but not committed: populate the zoo to the end.")
    parts = chosen.groupby("cohort", sort=False)["member"]
    cohorts = tuple(_cohort_audit(zoo, str(cohort), list(ids), checkpoints) for cohort, ids in parts)
    return Audit(zoo, images, cohorts)


def _refuse_other(zoo: Zoo, images: ImageSet) -> None:
    if images.fingerprint != zoo.header.dataset["fingerprint"]:
        raise ZooMismatchError(
            f"the images read for {zoo.url} have fingerprint {images.fingerprint} and it was trained on "
            f"{zoo.header.dataset['fingerprint']}: give the image set it was trained on."
        )
    if derive_layout(_module(zoo)) != zoo.layout:
        raise ZooMismatchError(
            f"the layer layout in {zoo.url} is not that of the network its recipe names, "
            f"{zoo.header.network['name']}: its header is not what geozoo populate wrote."
        )


def _module(zoo: Zoo) -> Module:
    return build_network(**zoo.header.network, activation=zoo.members["activation"].iloc[0])


def _cohort_audit(zoo: Zoo, cohort: str, members: list[str], checkpoints: tuple[int, ...]) -> CohortAudit:
    plan, engine = zoo.plan_of(cohort), zoo.header.engine
    chosen = np.flatnonzero(plan["member"].isin(members))
    others = tuple(other_conditions(zoo.commits()[cohort].how, engine))
    whole = not others and not find_engine(engine).apart(_module(zoo))
    job = replace(members_job(zoo.header, plan if whole else plan.iloc[chosen]), checkpoints=checkpoints)
    return CohortAudit(
        cohort=cohort,
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


def _audit_cohort(
    zoo: Zoo, images: ImageSet, audit: CohortAudit, on_samples: Callable[[int], None], threads: int
) -> Iterator[MemberOutcome]:
    evaluator, by_bits = Evaluator.of(audit.job, images), not audit.others
    comparisons = [Comparison(member, audit.cohort, evaluator, by_bits) for member in audit.members]
    metrics = zoo.read_metrics(members=list(audit.members)).set_index(["member", "epoch"])
    for progress in load_engine(zoo.header.engine, threads).train(audit.job, images):
        on_samples(progress.samples)
        if progress.block is not None:
            for comparison, checkpoint in zip(comparisons, _checkpoints(zoo, audit, progress.block, metrics), strict=True):
                comparison.add(checkpoint)
    rows = zoo.plan_of(audit.cohort).set_index("member")
    for comparison in comparisons:
        yield _with_id(zoo, rows.loc[comparison.member], comparison.outcome())


def _checkpoints(zoo: Zoo, audit: CohortAudit, block: Block, metrics: pd.DataFrame) -> Iterator[Checkpoint]:
    """The audited members at one checkpoint, in order."""
    stored = zoo.states(list(audit.members), block.epoch).astype(zoo.header.dtype)
    with np.errstate(over="ignore"):
        weights = block.weights.astype(zoo.header.dtype)
    for place, row in enumerate(audit.rows):
        yield Checkpoint(
            epoch=block.epoch,
            stored=stored[place],
            stored_metrics=metrics.loc[audit.members[place], block.epoch].to_dict(),
            retrained=weights[row],
            metrics={name: values[row] for name, values in block.metrics.items()},
            twins=weights[len(audit.rows) + place :: len(audit.rows)] if audit.others else weights[:0],
        )


def _with_id(zoo: Zoo, row: pd.Series[Any], outcome: MemberOutcome) -> MemberOutcome:
    """The outcome, or a difference where the member's id is not that of its hyper-parameters and seed."""
    expected = member_id(parse_recipe(zoo.header.recipe), hyperparameters_of(row.to_dict()), int(row["seed"]))
    if expected == outcome.member:
        return outcome
    reason = f"its recipe, hyper-parameters and seed make member {expected}"
    return replace(outcome, verdict="differs", first_difference=outcome.first_difference, reason=reason)
