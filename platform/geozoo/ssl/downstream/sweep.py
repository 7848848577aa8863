"""All rows of a table, one object each: what is there is kept, so the same command finishes what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from geozoo.errors import DamagedZooError, InputError
from geozoo.ssl.downstream.rows import Row, RowResult
from geozoo.store import open_location

if TYPE_CHECKING:
    from geozoo.ssl.downstream.bench import Bench
    from geozoo.ssl.downstream.experiment import LabelsExperiment
    from geozoo.store import Location

SWEEP_NAME = "sweep.json"


def plan_rows(experiment: LabelsExperiment) -> list[Row]:
    """Every row of the table: fraction by fraction, within one seed by seed, and all methods of a seed together."""
    return [
        Row(method=method, fraction=fraction, seed=seed)
        for fraction in experiment.fractions
        for seed in experiment.seeds
        for method in experiment.methods
    ]


def begin_sweep(bench: Bench, url: str) -> list[Row]:
    """Note what is swept, and return the rows that are missing.

    Raises:
        InputError: results of other settings are there.
    """
    location, identity = open_location(url), sweep_identity(bench)
    with location.opening():
        if not location.create_once(SWEEP_NAME, identity) and location.read(SWEEP_NAME) != identity:
            raise InputError(
                f"{location.url} holds results of other settings, chips or another model: give the settings it was "
                "started with, or another --to"
            )
        done = location.list("rows")
    return [row for row in plan_rows(bench.experiment) if row_name(row) not in done]


def sweep_identity(bench: Bench) -> bytes:
    """What results of one table agree in: settings, chips, weights; methods, fractions and seeds may grow."""
    notes = {"title", "provenance", "chips", "model", "methods", "fractions", "seeds"}
    tree = bench.experiment.model_dump(mode="json", exclude=notes)
    if not bench.experiment.fit.balance:
        del tree["fit"]["balance"]  # tables that were begun before there was this setting go on
    tree["plan"] = bench.chips.header.plan_sha256
    tree["model"] = bench.model.digest if bench.model else None
    return json.dumps(tree, sort_keys=True, indent=1).encode()


def keep_row(location: Location, result: RowResult) -> None:
    """Write what a row gave, unless it is there."""
    location.create_once(row_name(result.row), result.model_dump_json().encode())


def read_rows(url: str) -> list[RowResult]:
    """All results at a URL.

    Raises:
        InputError: there are none.
        DamagedZooError: one cannot be read.
    """
    location = open_location(url)
    names = sorted(location.list("rows"))
    if not names:
        raise InputError(f"there are no results at {location.url}: make some with geozoo sweep")
    return [_read_row(location, name) for name in names]


def _read_row(location: Location, name: str) -> RowResult:
    try:
        return RowResult.model_validate_json(location.read(name))
    except ValueError as error:
        raise DamagedZooError(
            f"{name} at {location.url} is damaged, no result can be read from it: remove it, and run the same command "
            "again."
        ) from error


def row_name(row: Row) -> str:
    """Where the result of a row lies."""
    return f"rows/{row.id}.json"
