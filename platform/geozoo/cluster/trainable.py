"""One cohort as a Ray Tune trial."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from ray import tune

from geozoo.cluster.gauges import CohortGauges
from geozoo.populate import Work, is_committed, train_cohort, work_done
from geozoo.store import open_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.datasets import ImageSet
    from geozoo.population import Block, Progress

STEP_SECONDS = 2.0
"""Least work in one Tune step: what keeps its bookkeeping below a percent."""


class CohortTrainable(tune.Trainable):
    """Trains and commits the cohort that the trial config names: ``{"cohort": id}``.

    Keeps nothing in Tune: a trial that starts, or starts again, first looks for a commit and is done if there is one.
    Each step reports the totals of its trial so far (``states``, ``samples``) and the cohort means of the last block.
    """

    def setup(self, config: dict[str, Any], url: str, images: ImageSet) -> None:  # type: ignore[override]
        """Called once an actor; Tune hands ``images`` over from the object store, without a copy."""
        self.zoo, self.images = open_zoo(url), images
        self._start(config["cohort"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self.cleanup()
        self._start(new_config["cohort"])
        return True

    def _start(self, cohort: str) -> None:
        self.members = len(self.zoo.plan_of(cohort))
        self.work = Work()
        self.means: dict[str, float] = {}
        self.gauges = CohortGauges(self.zoo.header.name)
        done = is_committed(self.zoo, cohort)
        self.progress: Iterator[Progress] = iter(()) if done else train_cohort(self.zoo, cohort, self.images)

    def step(self) -> dict[str, Any]:
        """Train for `STEP_SECONDS`, or to the end and the commit."""
        before, deadline = self.work, time.monotonic() + STEP_SECONDS
        done = True
        for progress in self.progress:
            self.work += work_done(self.zoo, self.members, progress)
            if progress.block is not None:
                self.means = cohort_means(progress.block)
            if time.monotonic() > deadline:
                done = False
                break
        if done:
            self.work += Work(members=self.members)
        self.gauges.report(before, self.work, self.means)
        return {
            "members": self.work.members,
            "states": self.work.states,
            "samples": self.work.samples,
            "done": done,
        } | (self.means)

    def cleanup(self) -> None:
        """Close the running attempt, which removes its objects if it is not committed."""
        close = getattr(self.progress, "close", None)
        if close is not None:
            close()


def cohort_means(block: Block) -> dict[str, float]:
    """The mean of every metric over the members of a block, for the curves; NaN where no member has a value."""
    means = {"epoch": float(block.epoch)}
    for name, column in block.metrics.items():
        known = column[np.isfinite(column)]
        means[f"mean_{name}"] = float(known.mean()) if len(known) else float("nan")
    return means
