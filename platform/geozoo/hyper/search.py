"""What `geozoo tune` searches: settings of an experiment, drawn from choices and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from geozoo.errors import RecipeError
from geozoo.recipe.load import parse_document
from geozoo.recipe.sampled import Axis, Choice
from geozoo.recipe.space import Count, Frozen, Seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.hyper.experiment import HyperExperiment

    Settings = Mapping[str, str | int | float]

Metric = Literal["validation_loss", "validation_structure", "validation_contrast", "validation_behaviour"]

_FIXED = ("name", "title", "kind", "zoo", "provenance", "search", "training.epochs")
_STATES = ("states", "augmentation.permute")
_MEASURED_BY: dict[str, tuple[str, ...]] = {
    "validation_loss": ("loss", "augmentation.target", "training.batch_size", *_STATES),
    "validation_structure": ("loss.structure", "augmentation.target", *_STATES),
    "validation_contrast": ("loss.temperature", "training.batch_size", *_STATES),
    "validation_behaviour": ("loss.behaviour", *_STATES),
}
"""The settings that decide what a metric measures: trials that differ in them cannot be compared by it."""


class Search(Frozen):
    """Settings to search and what for.

    ``axes`` names fields of the experiment with dots (``optimizer.lr``) and gives each a ``choice`` of ``values`` or an
    interval from ``low`` to ``high``, ``uniform`` or ``log_uniform``. The trial with the least ``metric`` is best,
    taken at the epoch whose weights it keeps, that of its least validation loss. ``trials`` are tried; ``seed`` is the
    sampler's.
    """

    axes: dict[str, Axis] = Field(min_length=1)
    metric: Metric = "validation_loss"
    trials: Count = 20
    seed: Seed = 0


def with_settings(experiment: HyperExperiment, settings: Settings, source: str) -> HyperExperiment:
    """The experiment with other settings in place of its own, and without a search.

    Args:
        experiment: what is searched.
        settings: values by dotted field.
        source: what this is called in messages.

    Raises:
        RecipeError: it is not valid as a whole.
    """
    tree = experiment.model_dump(mode="json", exclude={"search"}, exclude_unset=True)
    for field, value in settings.items():
        tree = _with_value(tree, field.split("."), value)
    return parse_document(tree, type(experiment), source)


def check_search(experiment: HyperExperiment, search: Search) -> None:
    """Raise ``ValueError`` in one clause where a search cannot give trials that are valid and can be compared.

    Both ends of an interval and at least one of the values of a choice must be valid beside the experiment's other
    settings: whether all values go together is known of each trial only.
    """
    for field, axis in search.axes.items():
        if part := _named(field, _FIXED):
            raise ValueError(f"search.axes names {field}, but {part} is one for all trials: leave it out")
        if part := _named(field, _MEASURED_BY[search.metric]):
            raise ValueError(
                f"search.axes names {field}, but {part} decides what {search.metric} measures, so that trials could "
                "not be compared: leave it out, or choose another metric"
            )
        refusals = [refusal for value in _tried(axis) if (refusal := _refusal(experiment, field, value))]
        if refusals and (not isinstance(axis, Choice) or len(refusals) == len(axis.values)):
            hint = "; list whole numbers, with kind choice" if "integer" in refusals[0] else ""
            raise ValueError(f"search.axes names {field}: {refusals[0]}{hint}")
    term = search.metric.removeprefix("validation_")
    if (term == "contrast" and not experiment.loss.contrast) or (term == "behaviour" and not experiment.loss.behaviour):
        raise ValueError(
            f"search.metric {search.metric} is no term of the loss: give loss.{term}, or choose another metric"
        )


def _refusal(experiment: HyperExperiment, field: str, value: str | float) -> str | None:
    try:
        with_settings(experiment, {field: value}, "it")
    except RecipeError as error:
        return str(error).removeprefix("it is not valid: ").rstrip(".")
    return None


def _tried(axis: Axis) -> tuple[str | int | float, ...]:
    return axis.values if isinstance(axis, Choice) else (axis.low, axis.high)


def _named(field: str, parts: tuple[str, ...]) -> str | None:
    """The part of an experiment among ``parts`` that a field is in."""
    return next((part for part in parts if f"{field}.".startswith(f"{part}.")), None)


def _with_value(tree: Any, names: list[str], value: object) -> dict[str, Any]:
    section = tree if isinstance(tree, dict) else {}
    head, *rest = names
    return {**section, head: _with_value(section.get(head), rest, value) if rest else value}
