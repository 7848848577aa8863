"""What tells two zoos apart: recipes, members, weights and metrics of common members, accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import RecipeError
from geozoo.interchange.alike import metric_names, shared_differences
from geozoo.recipe import parse_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from geozoo.store import Zoo

ACCURACY = "test_accuracy"
TRAINING_SECTIONS = ("dataset", "network", "training", "evaluation")
_MISSING = "nothing"


@dataclass(frozen=True)
class FieldDifference:
    """A field of the recipe, dotted, with its values in both zoos."""

    field: str
    one: Any
    other: Any


@dataclass(frozen=True)
class MemberDifference:
    """A member of both zoos whose contents differ.

    Attributes:
        member: its id.
        weights: the largest absolute difference of a weight over common checkpoints, 0 where all are equal, infinite
            where only one is finite; None where the layouts cannot be compared.
        epoch: the checkpoint where that is; None where no weight differs.
        metric: the name of the metric that differs most; None where none does.
        metric_difference: by how much.
    """

    member: str
    weights: float | None
    epoch: int | None
    metric: str | None
    metric_difference: float


@dataclass(frozen=True)
class Spread:
    """How many values there are, their mean and standard deviation (over n - 1); None where there are too few."""

    count: int
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Accuracies:
    """Test accuracies at the last checkpoint of both zoos, and whether they look like draws from one distribution.

    ``statistic`` and ``p_value`` are those of the two-sample Kolmogorov-Smirnov test (`scipy.stats.ks_2samp`); None
    where a zoo has no accuracies.
    """

    one: Spread
    other: Spread
    statistic: float | None
    p_value: float | None


@dataclass(frozen=True)
class ZooDiff:
    """All that tells two zoos apart; equal zoos have nothing in the first five.

    Attributes:
        fields: recipe fields that differ, notes, paths and numbers of members aside.
        shared: clauses on what all members share (tensors, images, checkpoints and so on).
        only_one: committed members of the first zoo that the second does not have.
        only_other: the reverse.
        differing: common members whose digests differ.
        common: how many members both have.
        pending: planned members without a commit, in each; they count as not there.
        digests: digests of the zoos, None of an unfinished one.
        accuracies: final test accuracies.
    """

    fields: tuple[FieldDifference, ...]
    shared: tuple[str, ...]
    only_one: tuple[str, ...]
    only_other: tuple[str, ...]
    differing: tuple[MemberDifference, ...]
    common: int
    pending: tuple[int, int]
    digests: tuple[str | None, str | None]
    accuracies: Accuracies

    @property
    def equal(self) -> bool:
        """Whether nothing tells the zoos apart."""
        return not (self.fields or self.shared or self.only_one or self.only_other or self.differing)


def diff_zoos(one: Zoo, other: Zoo, progress: Callable[[str, int, int], None] = lambda *step: None) -> ZooDiff:
    """Compare two zoos; cohorts, objects, and how and where members were trained play no part.

    Members are compared by the digests in their commits; only of those that differ are weights and metrics read.

    Raises:
        DamagedZooError: an object that is read is damaged.
    """
    ours, theirs = _digests(one), _digests(other)
    common = [member for member in ours if member in theirs]
    altered = [member for member in common if ours[member] != theirs[member]]
    differing = []
    for done, member in enumerate(altered):
        progress("compare members", done, len(altered))
        differing.append(_member_difference(one, other, member))
    pending = [int((~zoo.members["committed"]).sum()) for zoo in (one, other)]
    return ZooDiff(
        fields=tuple(_field_differences(*_recipes(one, other))),
        shared=tuple(shared_differences(one, other)),
        only_one=tuple(member for member in ours if member not in theirs),
        only_other=tuple(member for member in theirs if member not in ours),
        differing=tuple(differing),
        common=len(common),
        pending=(pending[0], pending[1]),
        digests=(None if pending[0] else one.digest(), None if pending[1] else other.digest()),
        accuracies=_compare_accuracies(one, other),
    )


def _digests(zoo: Zoo) -> dict[str, str]:
    """Digests by committed member, in the order of the members."""
    found = (
        zoo.digests()
        if zoo.members["committed"].all()
        else {member: digest for commit in zoo.commits().values() for member, digest in commit.digests.items()}
    )
    return {member: found[member] for member in zoo.members["member"] if member in found}


def _recipes(one: Zoo, other: Zoo) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What two recipes of one zoo must agree in; where one is not a whole recipe, only how members are trained.

    Which members a merged zoo has, for example, is no matter of a recipe.
    """
    try:
        first, second = (parse_recipe(zoo.header.recipe).zoo_identity() for zoo in (one, other))
    except RecipeError:
        first, second = (_training(zoo.header.recipe) for zoo in (one, other))
    return first, second


def _training(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that decide how a member is trained and evaluated, without the place of the images."""
    sections = {name: recipe[name] for name in TRAINING_SECTIONS if name in recipe}
    if "dataset" in sections:
        sections["dataset"] = {key: value for key, value in sections["dataset"].items() if key != "path"}
    return sections


def _field_differences(one: Any, other: Any, name: str = "") -> Iterator[FieldDifference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{name}.{key}" if name else key
            yield from _field_differences(one.get(key, _MISSING), other.get(key, _MISSING), inner)
    elif one != other:
        yield FieldDifference(name, one, other)


def _member_difference(one: Zoo, other: Zoo, member: str) -> MemberDifference:
    weights, epoch = _weights_difference(one, other, member)
    metric, gap = _metric_difference(one, other, member)
    return MemberDifference(member, weights, epoch, metric, gap)


def _weights_difference(one: Zoo, other: Zoo, member: str) -> tuple[float | None, int | None]:
    """The largest difference over common checkpoints, one at a time, and where it is."""
    if one.header.num_parameters != other.header.num_parameters:
        return None, None
    largest: float = 0.0
    where = None
    for epoch in sorted(set(one.checkpoints) & set(other.checkpoints)):
        gap = _largest_gap(*(zoo.states(member, epoch)[0] for zoo in (one, other)))
        if gap > largest:
            largest, where = gap, epoch
    return largest, where


def _metric_difference(one: Zoo, other: Zoo, member: str) -> tuple[str | None, float]:
    """The metric that differs most over common checkpoints, and by how much."""
    tables = [zoo.read_history(members=member).set_index("epoch").drop(columns="member") for zoo in (one, other)]
    epochs = tables[0].index.intersection(tables[1].index)
    gaps = {
        str(name): _largest_gap(*(table.loc[epochs, name].to_numpy(dtype=float) for table in tables))
        for name in tables[0].columns
        if name in tables[1].columns
    }
    name = max(gaps, key=lambda one: gaps[one], default=None)
    return (name, gaps[name]) if name is not None and gaps[name] > 0 else (None, 0.0)


def _largest_gap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest absolute difference; infinite where only one is a number, 0 where neither is or both are equal."""
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(one.astype(np.float64) - other.astype(np.float64))
    gaps[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    return float(np.nan_to_num(gaps, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _compare_accuracies(one: Zoo, other: Zoo) -> Accuracies:
    from scipy.stats import ks_2samp

    first, second = _final_accuracies(one), _final_accuracies(other)
    test = ks_2samp(first, second) if len(first) and len(second) else None
    return Accuracies(
        one=_spread(first),
        other=_spread(second),
        statistic=None if test is None else float(test.statistic),
        p_value=None if test is None else float(test.pvalue),
    )


def _spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> Spread:
    mean = float(values.mean()) if len(values) else None
    return Spread(len(values), mean, float(values.std(ddof=1)) if len(values) > 1 else None)


def _final_accuracies(zoo: Zoo) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not zoo.members["committed"].any() or ACCURACY not in metric_names(zoo):
        return np.empty(0)
    table = zoo.read_metrics([ACCURACY], zoo.checkpoints[-1])
    return np.asarray(table[ACCURACY].dropna(), dtype=np.float64)
