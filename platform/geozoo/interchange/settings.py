"""Settings of the members of a source: what they share, what differs, and the columns of a plan made of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geozoo.interchange.names import is_private
from geozoo.store.plans import OPENED_COLUMNS, PLAN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

SOURCE, KEYS, SPLIT = "source", "source_keys", "source_split"
"""Columns of an imported plan: the member's name in its source, the number of its spelling of keys, its split there."""

_RESERVED = (*PLAN_COLUMNS, *OPENED_COLUMNS, SOURCE, KEYS, "split", "digest")
_INT64 = 2**63
_MISSING = object()


@dataclass
class Settings:
    """Settings of members as they are met; those equal to the first member's are held once.

    ``known`` maps settings to hyper-parameters of a plan.
    """

    known: Mapping[str, str]
    _first: dict[str, Any] | None = None
    _others: list[dict[str, Any]] = field(default_factory=list)

    def add(self, settings: Mapping[str, Any]) -> None:
        """Take the next member's settings; accounts and keys are passed over."""
        public = {name: value for name, value in settings.items() if not is_private(name)}
        if self._first is None:
            self._first = public
        first = self._first
        different = {name: value for name, value in public.items() if not _equal(first.get(name, _MISSING), value)}
        absent = {name: _MISSING for name in first if name not in public}
        self._others.append(different | absent)

    def take(self, positions: Sequence[int]) -> Settings:
        """Those of some members."""
        return Settings(self.known, self._first, [self._others[position] for position in positions])

    @property
    def shared(self) -> dict[str, Any]:
        """What is the same for all, without what a plan has a column for."""
        return {name: values[0] for name, values in self._all().items() if name not in self.known and _agree(values)}

    def columns(self) -> dict[str, list[Any]]:
        """All settings that differ between members, and those that a plan has a column for; None where one has none."""
        chosen = {name: values for name, values in self._all().items() if name in self.known or not _agree(values)}
        return {name: [None if one is _MISSING else one for one in values] for name, values in chosen.items()}

    def _all(self) -> dict[str, list[Any]]:
        first = self._first or {}
        names = dict.fromkeys([*first, *(name for other in self._others for name in other)])
        return {name: [other.get(name, first.get(name, _MISSING)) for other in self._others] for name in names}


def _agree(values: Sequence[Any]) -> bool:
    return values[0] is not _MISSING and all(_equal(values[0], value) for value in values)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return type(one) is type(other) and bool(one == other)


@dataclass(frozen=True)
class PlannedSettings:
    """Columns of a plan; ``names`` has the source's name of those renamed, ``encoded`` those that hold JSON."""

    columns: dict[str, pd.Series]
    names: dict[str, str]
    encoded: tuple[str, ...]


def plan_settings(settings: Mapping[str, Sequence[Any]], known: Mapping[str, str]) -> PlannedSettings:
    """Make columns of settings.

    A setting that ``known`` maps to a hyper-parameter becomes that column, if all its values are of its type. Others
    follow under their own name, as numbers or words; where they are neither, as JSON. A value that a member lacks is
    null, and so is a number that is not finite.
    """
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    names: dict[str, str] = {}
    encoded = []
    for name, values in settings.items():
        target = known.get(name)
        if target is not None and target not in columns and (made := _as_known(values, PLAN_COLUMNS[target])):
            columns[target] = pd.Series(made, dtype=object)
            names[target] = name
    for name, values in settings.items():
        if name in names.values():
            continue
        column = f"source.{name}" if name in _RESERVED else name
        if column != name:
            names[column] = name
        columns[column], is_json = _as_column(values)
        encoded += [column] if is_json else []
    return PlannedSettings(columns, names, tuple(encoded))


def _as_known(values: Sequence[Any], kind: str) -> list[Any]:
    """The values as ``kind``, None staying None; nothing where one does not fit."""
    convert = _CONVERSIONS[kind]
    made = [None if _is_missing(value) else convert(value) for value in values]
    fits = all(one is not None or _is_missing(value) for one, value in zip(made, values, strict=True))
    return made if fits else []


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _to_string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _to_float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _to_integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value) if -_INT64 <= value < _INT64 else None


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"string": _to_string, "float64": _to_float, "int64": _to_integer}


def _as_column(values: Sequence[Any]) -> tuple[pd.Series, bool]:
    """A column of whole numbers, numbers or words; else of JSON, and that it is."""
    import pandas as pd

    there = [value for value in values if not _is_missing(value)]
    if there and all(isinstance(value, str) for value in there):
        return pd.Series([None if _is_missing(value) else value for value in values], dtype=object), False
    if there and all(_to_float(value) is not None for value in there):
        whole = len(there) == len(values) and all(isinstance(v, int) and -_INT64 <= v < _INT64 for v in there)
        return pd.Series([None if _is_missing(v) else v for v in values], dtype="int64" if whole else "float64"), False
    texts = [None if value is None else json.dumps(value, default=str, sort_keys=True) for value in values]
    return pd.Series(texts, dtype=object), True
