"""One member's checkpoints against its retraining: bit for bit, or within what rounding makes of a training.

Training is chaotic: two runs that round differently drift apart, exponentially and by jumps, where a ReLU or a maximum
falls to the other side. How far is a matter of the recipe, so it is measured along with every member: `TWINS` twins,
trained from initial weights moved by `TWIN_NOISE` of their size, which is what float32 rounds, show how far rounding
alone takes this member by every checkpoint. A stored state passes where its distance from the retrained one is within
`DISTANCE_FACTOR` times the farthest that a twin has been so far, or within `JUMP`, since a jump may come to none of the
twins; and where it answers at most `DISAGREEMENT_FACTOR` times as many validation images differently as a twin, and
`ANSWERS_FLOOR` more. What does not drift is asked for closely: the initial weights, and that the stored metrics are
those of the stored weights. So this way of comparing is statistical: an alteration smaller than the drift passes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.audit.outcome import MemberOutcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geozoo.audit.evaluate import Evaluator

TWINS = 4
TWIN_NOISE = 1e-7
DISTANCE_FACTOR = 5.0
JUMP = 0.05
DISAGREEMENT_FACTOR = 2.0
ANSWERS_FLOOR = 0.05
ROUNDING = {"float32": 1e-6, "float16": 1e-3}
"""Relative distance that the stored type itself makes, by its name."""
METRIC_TOLERANCE = {"float32": 1e-3, "float16": 2e-2}
"""How far stored metrics may be from those of the stored weights: losses above 1 relatively, all else absolutely.

An accuracy may also be one image off, since two logits may be as good as equal.
"""
COARSE = ("bfloat16", "tf32")
"""Precisions whose metrics are only held to the tolerance of float16."""


@dataclass(frozen=True)
class Checkpoint:
    """A member at one checkpoint: weights ``[params]`` as stored and as retrained, in the stored type, and metrics.

    ``twins`` ``[TWINS, params]`` are empty where bits are compared. An epoch that has metrics only has no ``params``.
    """

    epoch: int
    stored: NDArray[Any]
    stored_metrics: Mapping[str, Any]
    retrained: NDArray[Any]
    metrics: Mapping[str, Any]
    twins: NDArray[Any]


@dataclass
class Comparison:
    """A member's checkpoints, fed in ascending order by `add`; `outcome` sums up.

    ``drift`` and ``usual`` are the farthest that a twin has been so far, and the most it has answered otherwise.
    """

    member: str
    cohort: str
    evaluator: Evaluator
    by_bits: bool
    first_difference: int | None = None
    reason: str = ""
    largest_difference: float = 0.0
    distance: float = 0.0
    agreement: float = 1.0
    drift: float = 0.0
    usual: float = 0.0

    def add(self, checkpoint: Checkpoint) -> None:
        """Compare the next checkpoint."""
        if not _same_bits(checkpoint.stored, checkpoint.retrained):
            with np.errstate(invalid="ignore", over="ignore"):
                gaps = np.abs(checkpoint.stored.astype(np.float64) - checkpoint.retrained.astype(np.float64))
            self.largest_difference = float(np.fmax(self.largest_difference, np.fmax.reduce(gaps)))
            self.distance = float(np.fmax(self.distance, relative_distance(checkpoint.stored, checkpoint.retrained)))
        reason = self._bits(checkpoint) if self.by_bits else self._tolerance(checkpoint)
        if reason and self.first_difference is None:
            self.first_difference, self.reason = checkpoint.epoch, reason

    @property
    def allowed_distance(self) -> float:
        """How far a state may be from the retraining by now, relatively."""
        return max(JUMP, DISTANCE_FACTOR * self.drift)

    def outcome(self) -> MemberOutcome:
        """What all checkpoints said together."""
        fine: Verdict = "identical" if self.by_bits else "within tolerance"
        return MemberOutcome(
            member=self.member,
            cohort=self.cohort,
            compared="bits" if self.by_bits else "tolerance",
            verdict=fine if self.first_difference is None else "differs",
            first_difference=self.first_difference,
            reason=self.reason,
            largest_difference=self.largest_difference,
            distance=self.distance,
            agreement=self.agreement,
        )

    def _bits(self, checkpoint: Checkpoint) -> str:
        if not _same_bits(checkpoint.stored, checkpoint.retrained):
            self._disagreement(checkpoint.stored, self.evaluator.answers(checkpoint.retrained))
            return "its weights are not those of the retraining"
        ours = {name: np.float64(value) for name, value in checkpoint.metrics.items()}
        theirs = {name: np.float64(checkpoint.stored_metrics[name]) for name in ours}
        other = [name for name in ours if not _same_bits(ours[name], theirs[name])]
        return f"its {other[0]} is not that of the retraining" if other else ""

    def _tolerance(self, checkpoint: Checkpoint) -> str:
        """What is beyond the tolerance, or nothing."""
        stored, retrained = checkpoint.stored, checkpoint.retrained
        if not stored.size:
            return ""
        finite = bool(np.isfinite(stored).all())
        others = np.isfinite(np.stack([retrained, *checkpoint.twins])).all(axis=1)
        if stored.dtype == np.float32 and finite != bool(checkpoint.stored_metrics["finite"]):
            return "its finite flag is not that of its weights"
        if finite not in others:
            return "its weights are finite and no retraining's are" if finite else "its weights are not finite"
        if finite and (metric := self._false_metric(checkpoint)):
            return f"its stored {metric} is not that of its stored weights"
        if not finite or not others[0]:
            return ""
        twins = checkpoint.twins[others[1:]]
        rounding = ROUNDING[str(stored.dtype)]
        self.drift = max([self.drift, rounding, *(relative_distance(twin, retrained) for twin in twins)])
        if relative_distance(stored, retrained) > (self.allowed_distance if checkpoint.epoch else rounding):
            return "its weights are farther from the retraining than rounding takes them"
        answers = self.evaluator.answers(retrained)
        differing = [float((self.evaluator.answers(twin) != answers).mean()) for twin in twins]
        self.usual = max([self.usual, *differing])
        if self._disagreement(stored, answers) > ANSWERS_FLOOR + DISAGREEMENT_FACTOR * self.usual:
            return "it answers more validation images differently than rounding makes it"
        return ""

    def _disagreement(self, stored: NDArray[Any], answers: NDArray[np.int64]) -> float:
        """The share of validation images that the stored state answers otherwise."""
        share = float((self.evaluator.answers(stored) != answers).mean())
        self.agreement = min(self.agreement, 1 - share)
        return share

    def _false_metric(self, checkpoint: Checkpoint) -> str | None:
        """The first stored metric that the stored weights do not have."""
        coarse = self.evaluator.job.precision in COARSE
        tolerance = METRIC_TOLERANCE["float16" if coarse else str(checkpoint.stored.dtype)]
        image = 1.5 / min(len(part.labels) for part in self.evaluator.splits.values())
        for name, value in self.evaluator.metrics(checkpoint.stored).items():
            allowed = tolerance * max(1.0, abs(value)) if name.endswith("loss") else tolerance + image
            if not abs(float(checkpoint.stored_metrics[name]) - value) <= allowed:
                return name
        return None


def relative_distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """``|one - other| / |other|`` of two weight vectors, in double precision; 0 for two zeros."""
    with np.errstate(all="ignore"):
        gap = np.linalg.norm(one.astype(np.float64) - other)
        return float(gap / np.linalg.norm(other.astype(np.float64))) if gap else 0.0


def _same_bits(one: Any, other: Any) -> bool:
    """Whether two arrays of floats have the same bits, any NaN counting as one value, as in digests."""
    one, other = np.asarray(one), np.asarray(other)
    bits = np.dtype(f"u{one.dtype.itemsize}")
    return bool(((one.view(bits) == other.view(bits)) | (np.isnan(one) & np.isnan(other))).all())
