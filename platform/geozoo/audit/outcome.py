"""What an audit says of one member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["identical", "within tolerance", "differs"]


@dataclass(frozen=True)
class MemberOutcome:
    """One member against its retraining.

    Attributes:
        member: its id.
        cohort: its cohort.
        compared: ``bits``, or ``tolerance`` where the cohort was trained under other conditions.
        verdict: ``identical`` (every audited weight and metric, bit for bit), ``within tolerance``, or ``differs``.
        first_difference: the first checkpoint at which it differs; None where it does not.
        reason: what differs there, as a clause; empty where nothing does.
        largest_difference: the largest absolute difference of a weight at any audited checkpoint, NaN where the only
            states that differ are not finite.
        distance: the largest relative distance ``|stored - retrained| / |retrained|`` of a checkpoint's weight vectors.
        agreement: the lowest share, over audited checkpoints, of validation images that both give one class.
    """

    member: str
    cohort: str
    compared: Literal["bits", "tolerance"]
    verdict: Verdict
    first_difference: int | None
    reason: str
    largest_difference: float
    distance: float
    agreement: float
