"""What is in a zoo and how far it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from geozoo.hyper.probing.targets import hyperparameters, varying_hyperparameters
from geozoo.recipe.model import Origin
from geozoo.report.words import describe_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from geozoo.store import Zoo

QUANTILES = {"lowest": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "highest": 1.0}


@dataclass(frozen=True)
class HowMade:
    """How the committed cohorts were trained; more than one value where cohorts differ.

    ``wall_seconds`` sums the training times of the cohorts, which may have run at the same time.
    """

    cpus: tuple[str, ...]
    versions: tuple[str, ...]
    wall_seconds: float


@dataclass(frozen=True)
class ZooSummary:
    """A zoo in numbers. Accuracies are fractions in [0, 1] of committed members at the final checkpoint.

    ``hyperparameters`` maps each one that varies to its values in words, ``constants`` the others to their value;
    ``provenance`` tells which fields of the recipe are published, inferred or ours, and from where (empty: not known);
    ``stored_bytes`` counts the objects of commits; ``digest`` is ``None`` until the zoo is complete; ``origin`` says
    where an imported zoo is from.
    """

    name: str
    title: str
    provenance: str
    url: str
    dataset: str
    classes: int
    network: str
    parameters: int
    engine: str
    dtype: str
    precision: str
    checkpoints: tuple[int, ...]
    keeps_best: bool
    members: int
    committed_members: int
    cohorts: int
    uncommitted_cohorts: tuple[str, ...]
    states: int
    stored_bytes: int
    hyperparameters: dict[str, str]
    constants: dict[str, str]
    final_accuracy: dict[str, float] | None
    diverged: int
    how: HowMade
    fingerprint: str
    digest: str | None
    origin: str | None

    @property
    def complete(self) -> bool:
        """Whether every planned cohort is committed."""
        return not self.uncommitted_cohorts

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)


def summarise(zoo: Zoo) -> ZooSummary:
    """Summarise a zoo, finished or not; reads commits and metrics, no weights."""
    header, members = zoo.header, zoo.members
    committed = members["committed"]
    pending = tuple(dict.fromkeys(members.loc[~committed, "cohort"]))
    metrics = zoo.read_metrics(["finite", "test_accuracy"])
    varying = varying_hyperparameters(members)
    return ZooSummary(
        name=header.name,
        title=str(header.recipe.get("title") or ""),
        provenance=_provenance(header.recipe.get("provenance")),
        url=zoo.url,
        dataset=str(header.dataset.get("name", "unknown")),
        classes=len(header.dataset.get("classes", ())),
        network=str(header.recipe.get("network", {}).get("name", "unknown")),
        parameters=header.num_parameters,
        engine=header.engine,
        dtype=header.dtype,
        precision=header.precision,
        checkpoints=header.checkpoints,
        keeps_best=header.keeps_best,
        members=len(members),
        committed_members=int(committed.sum()),
        cohorts=members["cohort"].nunique(),
        uncommitted_cohorts=pending,
        states=int(committed.sum()) * len(header.checkpoints),
        stored_bytes=zoo.stored_bytes(),
        hyperparameters={name: describe_values(members[name]) for name in varying},
        constants={name: describe_values(members[name]) for name in constant_hyperparameters(members)},
        final_accuracy=_final_accuracy(metrics, header.checkpoints[-1]),
        diverged=count_diverged(metrics),
        how=_how(list(zoo.how().values())),
        fingerprint=str(header.dataset["fingerprint"]),
        digest=None if pending else zoo.digest(),
        origin=f"{header.imported.source} ({header.imported.kind})" if header.imported else None,
    )


def _provenance(noted: Any) -> str:
    if not noted:
        return ""
    try:
        origin = Origin.model_validate(noted)
    except ValueError:
        return ""  # a zoo made elsewhere may note it otherwise
    return origin.describe() + (f" (source: {origin.source})" if origin.source else "")


def constant_hyperparameters(members: pd.DataFrame) -> list[str]:
    """The hyper-parameters that all members share; those of an imported zoo that are not known are left out."""
    varying = varying_hyperparameters(members)
    return [name for name in hyperparameters(members) if name not in varying and members[name].notna().any()]


def count_diverged(metrics: pd.DataFrame) -> int:
    """How many members have a state with non-finite weights."""
    return int(metrics.loc[~metrics["finite"].astype(bool), "member"].nunique())


def _final_accuracy(metrics: pd.DataFrame, epoch: int) -> dict[str, float] | None:
    """Quantiles of the test accuracy over members at the final epoch, by name."""
    accuracy = metrics.loc[metrics["epoch"] == epoch, "test_accuracy"].dropna()
    if accuracy.empty:
        return None
    return {name: float(accuracy.quantile(q)) for name, q in QUANTILES.items()}


def _how(blocks: list[dict[str, Any]]) -> HowMade:
    """Merge the ``how`` blocks of cohorts; keys that an older or foreign one lacks are left out."""
    versions = [how.get("versions", {}) for how in blocks]
    return HowMade(
        cpus=_distinct(how.get("cpu") for how in blocks),
        versions=_distinct(", ".join(f"{name} {number}" for name, number in version.items()) for version in versions),
        wall_seconds=sum(float(how.get("wall_s", 0)) for how in blocks),
    )


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
