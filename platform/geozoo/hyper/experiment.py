"""The experiment: everything that decides a hyper-representation, typed and validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from geozoo.errors import InputError
from geozoo.hyper.models import find_model
from geozoo.hyper.models.options import ModelOptions  # noqa: TC001  (pydantic reads the annotation)
from geozoo.hyper.search import Search, check_search
from geozoo.recipe.describe import describe_errors
from geozoo.recipe.load import load_document
from geozoo.recipe.model import Origin
from geozoo.recipe.space import Count, Frozen, NonNegative, Positive
from geozoo.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Share = Annotated[float, Field(ge=0, le=1)]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class StatesSettings(Frozen):
    """Which states are learned from.

    ``checkpoints`` are epochs, or ``every``. Members, never states, are split 70/15/15 by ``split``: ``member``, or
    ``seed`` where seeds are used again in other cells, or ``cell`` (all members of equal hyper-parameters together).
    ``max_weight`` leaves out states with a larger weight, as the published data sets do. ``standardise`` subtracts the
    mean and divides by the standard deviation of each layer over the training states before the model sees a state.
    ``align`` permutes the units of every member, by weight matching of its last finite state, to those of the first
    training member that did not diverge, as SANE does.
    """

    checkpoints: Literal["every"] | tuple[int, ...] = "every"
    split: Literal["member", "seed", "cell"] = "member"
    max_weight: Positive | None = None
    standardise: bool = False
    align: bool = False


class AugmentationSettings(Frozen):
    """How each of two views of a state is drawn, in this order; see `geozoo.weights.augment`.

    ``permute`` permutes hidden units at random, ``erase`` is the probability of zeroing a block, ``add_noise`` and
    ``scale_noise`` are standard deviations. ``target`` of the reconstruction: the ``view`` itself, as published, or the
    ``clean`` state. In validation views are permuted and nothing else.
    """

    permute: bool = True
    erase: Share = 0.0
    add_noise: NonNegative = 0.0
    scale_noise: NonNegative = 0.0
    target: Literal["view", "clean"] = "view"


class BehaviourSettings(Frozen):
    """The behavioural term: decoded networks should answer as the originals do.

    Its ``weight`` is taken from the structural term. ``kind`` compares logits by squared distance (``l2``), the
    original's answers by cross-entropy (``ce``), or softened probabilities (``distillation``). Each step shows
    ``images`` query images, drawn from the training images of the zoo, to at most ``states`` states of the batch. It
    needs a model that reconstructs whole networks: for ``sane`` a ``window`` of the whole sequence.
    """

    weight: Share
    kind: Literal["l2", "ce", "distillation"] = "l2"
    images: Count = 64
    states: Count | None = None


class LossSettings(Frozen):
    """``contrast`` x NT-Xent + (1 - ``contrast``) x [(1 - w) x structure + w x behaviour], w = ``behaviour.weight``.

    ``structure`` is the reconstruction error: ``plain`` mean squares; ``layers_by_weight`` and ``layers_alike`` divide
    every layer by its standard deviation over the training states and weigh weights or layers alike (Schuerholt et
    al., 2022); ``batch`` normalises by mean and deviation in the batch, for
    heterogeneous zoos (of several workers, in the rows of each: there they are not one worker).
    """

    contrast: Share = 0.05
    temperature: Positive = 0.1
    structure: Literal["plain", "layers_by_weight", "layers_alike", "batch"] = "plain"
    behaviour: BehaviourSettings | None = None


def _model_options(value: Any) -> Any:
    if not isinstance(value, dict) or "name" not in value:
        return value
    try:
        record = find_model(value["name"])
    except InputError as error:
        raise ValueError(str(error)) from None
    try:
        return record.options.model_validate(value)
    except ValidationError as error:
        raise ValueError(describe_errors(error, record.options, value)) from None


class HyperExperiment(Frozen):
    """One hyper-representation, described completely; ``zoo`` lists the URLs that it learns from.

    ``search`` is read by ``geozoo tune`` alone.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)
    title: str = ""
    kind: Literal["hyper"]
    zoo: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    states: StatesSettings = StatesSettings()
    model: Annotated[SerializeAsAny[ModelOptions], BeforeValidator(_model_options)]
    augmentation: AugmentationSettings = AugmentationSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings
    search: Search | None = None
    provenance: Origin = Origin()

    @model_validator(mode="after")
    def _check_search(self) -> HyperExperiment:
        if self.search is not None:
            check_search(self, self.search)
        return self


def load_experiment(path: str | Path, overrides: Iterable[str] = ()) -> HyperExperiment:
    """Read an experiment file and apply overrides such as ``zoo=my-zoo`` or ``training.epochs=5``.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a field is unknown, missing or wrong.
    """
    return load_document(path, overrides, HyperExperiment, "experiment", "experiments/hyper/digits_small.yaml")
