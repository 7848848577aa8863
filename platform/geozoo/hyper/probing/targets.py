"""Targets: the properties of a model that a probe predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from geozoo.hyper.probing.fitting import Kind

RESULTS = ("test_accuracy", "generalization_gap", "epoch")
NOT_HYPERPARAMETERS = (
    *("member", "cohort", "position", "seed", "plan", "committed", "zoo"),
    *("source", "source_keys", "source_split"),  # of imported members
)


@dataclass(frozen=True)
class Target:
    """One property of every state ``[states]``: float64 for regression, strings for classification.

    A missing value is NaN or an empty string; such states are left out for this target.
    """

    name: str
    kind: Kind
    values: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which states have a value ``[states]``."""
        return np.asarray(self.values != "") if self.kind == "classification" else np.isfinite(self.values)


def hyperparameters(members: pd.DataFrame) -> list[str]:
    """The columns of a members table that are hyper-parameters: all but id, place and seed."""
    return [name for name in members.columns if name not in NOT_HYPERPARAMETERS]


def varying_hyperparameters(members: pd.DataFrame) -> list[str]:
    """The hyper-parameters with more than one value among these members."""
    return [name for name in hyperparameters(members) if members[name].nunique(dropna=False) > 1]


def collect_targets(
    members: pd.DataFrame, metrics: pd.DataFrame, names: Sequence[str] = (), among: np.ndarray | None = None
) -> tuple[list[Target], list[str]]:
    """Collect the targets of a set of states: results, then every hyper-parameter that varies.

    As published (Schuerholt et al., 2021), numbers are regressed on their raw scale and strings are classified.

    Args:
        members: the hyper-parameters of each state's member, one row per state.
        metrics: ``epoch`` and metrics of each state, rows as in ``members``.
        names: only these targets; all where empty.
        among: mask of the states among which a target must vary; all where ``None``.

    Returns:
        The targets, and the names left out because all these states share one value.

    Raises:
        InputError: a name that is no target of this zoo.
    """
    columns = {name: metrics[name] for name in RESULTS if name in metrics.columns}
    columns |= {name: members[name] for name in hyperparameters(members)}
    if unknown := [name for name in names if name not in columns]:
        raise InputError(f"{unknown[0]!r} is no target of this zoo: choose from {', '.join(columns)}.")
    chosen = {name: column for name, column in columns.items() if not names or name in names}
    here = slice(None) if among is None else among
    constant = [name for name, column in chosen.items() if column[here].nunique(dropna=False) < 2]
    return [_target(name, column) for name, column in chosen.items() if name not in constant], constant


def _target(name: str, column: pd.Series) -> Target:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return Target(name, "regression", column.to_numpy(dtype=np.float64, na_value=np.nan))
    return Target(name, "classification", column.astype("string").fillna("").to_numpy(dtype=np.str_))
