"""The experiment of kind ``labels``: which labels, which ways to learn from them, how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from geozoo.recipe.load import load_document
from geozoo.recipe.model import Origin
from geozoo.recipe.space import Count, Frozen, NonNegative, Positive, Seed
from geozoo.ssl.experiment import AugmentationSettings, SplitSettings, ViewSettings
from geozoo.training.settings import ScheduleSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Method = Literal["statistics", "random_probe", "knn", "probe", "finetune", "scratch"]
"""How labels are learned from.

``statistics``: logistic regression on mean and deviation of every band. ``random_probe``: a linear layer on an encoder
with random weights. ``knn``, ``probe``, ``finetune``: nearest neighbours, a linear layer, everything, from the trained
encoder. ``scratch``: everything, from random weights.
"""
NEED_MODEL = ("knn", "probe", "finetune")
ONE_CLASS = ("statistics", "knn")
"""Methods that read one class a chip."""
FROZEN = ("random_probe", "probe")
"""Methods that train a head on an encoder that stays as it is."""
Task = Literal["single", "multi", "segmentation"]
Portion = Annotated[float, Field(gt=0, le=1)]


class FitSettings(Frozen):
    """How a read-out or a whole network learns: the same for every row of a table.

    ``updates`` counts steps of the optimiser, whatever the number of labels; ``epochs`` counts passes instead, as
    published. Of ``learning_rates`` the one with the best validation score is kept; ``probe_rates`` are those of a
    linear layer alone. An encoder that is trained has ``encoder_rate`` times the rate of its head. With ``balance``
    the chips of rarer classes come several times in a pass (`geozoo.ssl.downstream.subsets.balancing_copies`).
    """

    updates: Count | None = None
    epochs: Count | None = None
    batch_size: Count = 64
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: NonNegative = 1e-4
    learning_rates: tuple[Positive, ...] = Field(default=(1e-3,), min_length=1)
    probe_rates: tuple[Positive, ...] = Field(default=(1e-2,), min_length=1)
    encoder_rate: Positive = 1.0
    balance: bool = False
    schedule: ScheduleSettings = ScheduleSettings()

    @model_validator(mode="after")
    def _one_length(self) -> FitSettings:
        if (self.updates is None) == (self.epochs is None):
            raise ValueError("give either updates or epochs")
        return self


class LabelsExperiment(Frozen):
    """A table of what labels are worth: ``methods`` x ``fractions`` x ``seeds``, each a row of its own.

    ``chips`` and ``model`` are URLs. Without a model ``views`` say what is trained from nothing; with one, its views
    are used. ``task``: one class a chip (``single``), several (``multi``), one a pixel (``segmentation``).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)
    title: str = ""
    kind: Literal["labels"]
    chips: str = ""
    model: str = ""
    task: Task = "single"
    split: SplitSettings = SplitSettings()
    views: dict[str, ViewSettings] = Field(default={}, max_length=2)
    augmentation: AugmentationSettings = AugmentationSettings()
    methods: tuple[Method, ...] = Field(min_length=1)
    fractions: tuple[Portion, ...] = Field(default=(1.0,), min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    fit: FitSettings
    provenance: Origin = Origin()


def load_labels_experiment(path: str | Path, overrides: Iterable[str] = ()) -> LabelsExperiment:
    """Read an experiment file and apply overrides such as ``chips=eurosat-chips`` or ``model=simclr``.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a field is unknown, missing or wrong.
    """
    return load_document(path, overrides, LabelsExperiment, "experiment", "experiments/ssl/eurosat_labels.yaml")
