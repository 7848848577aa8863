"""The hyper-representation models, by name: one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geozoo.hyper.models.model import HyperModel
    from geozoo.hyper.models.options import ModelOptions
    from geozoo.nets.layout import Layout


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """One model: ``build(options, layouts)`` makes it from its ``options`` and the layouts of the zoos it is for.

    ``build`` raises `InputError` where the options or the model do not fit the layouts.
    """

    name: str
    summary: str
    options: type[ModelOptions]
    build: Callable[[Any, Sequence[Layout]], HyperModel]


MODELS: dict[str, ModelRecord] = {}


def register_model(record: ModelRecord) -> ModelRecord:
    """Add a record; a name can be taken once."""
    if record.name in MODELS:
        raise InputError(f"model {record.name!r} is registered twice: choose another name.")
    MODELS[record.name] = record
    return record


def find_model(name: str) -> ModelRecord:
    """Return the record of a name, or raise `InputError` naming those there are."""
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}: choose one of {', '.join(sorted(MODELS))}.")
    return MODELS[name]
