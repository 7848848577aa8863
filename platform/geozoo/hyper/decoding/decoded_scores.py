"""The scores of decoders, of one run and over several seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from geozoo.hyper.probing.scores import Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class DecodedScores:
    """The scores of one decoder on held-out states; scores have 95 % intervals by bootstrap over members.

    ``r2`` is 1 - squared error / squared error of the training mean, over all weights, and ``r2_by_tensor`` over each
    tensor; ``None`` where it is not a number. ``agreement`` is the share of images with the prediction of the original,
    ``agreement_where_wrong`` that among the images which the original gets wrong, a mean over states. Identification is
    the share of ``candidates`` members whose decoded network is nearest to its own original, by agreement or by
    the squared distance of logits. Diversity is a mean over pairs of them: ``weight_distance`` (L2) and
    ``disagreement`` (share of images), and the same of the originals.
    """

    r2: float | None
    r2_by_tensor: Mapping[str, float | None]
    agreement: Score
    agreement_where_wrong: Score
    accuracy: Score
    original_accuracy: Score
    identified_by_agreement: Score
    identified_by_logits: Score
    weight_distance: float | None
    original_weight_distance: float | None
    disagreement: float | None
    original_disagreement: float | None
    candidates: int
    states: int
    images: int

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON values."""
        return asdict(self)

    @property
    def weight_diversity(self) -> float | None:
        """Weight distance relative to the originals."""
        return _ratio(self.weight_distance, self.original_weight_distance)

    @property
    def answer_diversity(self) -> float | None:
        """Disagreement relative to the originals."""
        return _ratio(self.disagreement, self.original_disagreement)

    def values(self) -> dict[str, float | None]:
        """The single numbers by name, without intervals and tensors."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "r2_by_tensor"}
        numbers = {name: one.value if isinstance(one, Score) else one for name, one in named.items()}
        return numbers | {"weight_diversity": self.weight_diversity, "answer_diversity": self.answer_diversity}


class Spread(NamedTuple):
    """Mean, smallest and largest over seeds."""

    mean: float
    low: float
    high: float


def over_seeds(runs: Sequence[DecodedScores]) -> dict[str, Spread | None]:
    """Every single number over the runs of several seeds; ``None`` where a run has none."""
    columns = {name: [run.values()[name] for run in runs] for name in runs[0].values()}
    spreads: dict[str, Spread | None] = {}
    for name, column in columns.items():
        known = [value for value in column if value is not None]
        whole = len(known) == len(runs)
        spreads[name] = Spread(sum(known) / len(known), min(known), max(known)) if whole else None
    return spreads


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference
