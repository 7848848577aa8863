"""The experiment of kind ``ssl``: what is seen of a chip, how it is encoded, and what pulls views together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from geozoo.errors import InputError
from geozoo.recipe.describe import describe_errors
from geozoo.recipe.load import load_document
from geozoo.recipe.model import Origin
from geozoo.recipe.space import Count, Fraction, Frozen, NonNegative, Positive, Seed
from geozoo.ssl.losses.options import LossOptions  # noqa: TC001  (pydantic reads the annotation)
from geozoo.ssl.losses.registry import find_loss
from geozoo.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Share = Annotated[float, Field(ge=0, le=1)]
Sampler = Literal["shuffled", "by_scene", "area_weighted"]
ALL = "all"


class SplitSettings(Frozen):
    """How chips are parted into training, validation and test: never two chips of one scene in different parts.

    ``random`` draws scenes. ``given`` takes what the data set says; where that has no validation part, it is drawn
    from the scenes of the training part. ``shift`` clusters the scenes of each class by their colour statistics into
    ``clusters`` groups and holds out whole groups for the test: a change of appearance, not of place.
    """

    by: Literal["random", "given", "shift"] = "random"
    validation: Fraction = 0.1
    test: Fraction = 0.2
    clusters: Count = 5
    seed: Seed = 0


class WeightsSettings(Frozen):
    """Weights to start from: the ``path`` of a state dict, and what its encoder saw; see `geozoo.ssl.pretrained`.

    A file of ``geozoo export encoder`` says itself what it saw. For TorchGeo's weights ``torchgeo`` is the name of the
    entry (``SENTINEL2_ALL_MOCO``). For any other file ``bands`` are named in the order of its first layer, with the
    ``mean`` and ``std`` that they were scaled by: one number for all, or one for each.
    """

    path: str
    torchgeo: str | None = None
    bands: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Positive, ...] = (1.0,)


class EncoderSettings(Frozen):
    """An encoder: a network of timm by ``name`` with its keyword ``options``, or one of ours (``vgg_maps``)."""

    name: str = "resnet18"
    options: dict[str, Any] = Field(default={})
    weights: WeightsSettings | None = None


class ViewSettings(Frozen):
    """What one encoder sees: named bands of one or several modalities, stacked, and how they are scaled.

    ``bands`` maps a modality of the chips to names of bands, or to ``all``. ``scale``: ``dataset`` subtracts the mean
    and divides by the standard deviation of each band over the training chips; ``chip_max`` is the published scaling
    (Sentinel-1 clipped to [-25, 0] dB plus 25, Sentinel-2 to [0, 10,000], then every band of every chip divided by its
    own maximum, which discards radiometry); ``weights`` is what the encoder's ``weights`` were trained with, and is
    required with them.
    """

    bands: dict[str, Literal["all"] | tuple[str, ...]] = Field(min_length=1)
    scale: Literal["dataset", "chip_max", "weights"] = "dataset"
    encoder: EncoderSettings = EncoderSettings()

    @model_validator(mode="after")
    def _scaled_as_trained(self) -> ViewSettings:
        if (self.encoder.weights is not None) != (self.scale == "weights"):
            raise ValueError("encoder.weights and scale: weights go together, since an encoder knows only what it saw")
        return self


class JitterSettings(Frozen):
    """Largest relative change of ``brightness``, ``contrast`` and ``saturation``, of ``probability`` of the chips.

    ``bands`` changes the brightness of every band by itself, which is what a change of hue is to any number of bands.
    """

    brightness: NonNegative = 0.0
    contrast: NonNegative = 0.0
    saturation: NonNegative = 0.0
    bands: NonNegative = 0.0
    probability: Share = 0.8


class AugmentationSettings(Frozen):
    """How a view is drawn. What moves pixels is the same for all sensors of a view; colour changes are not geometry.

    ``crop`` cuts a square of so many pixels at random (in evaluation from the centre). ``zoom`` cuts a random part of
    between these shares of the area, with an aspect ratio of 3/4 to 4/3, and brings it back to full size. ``flip``
    mirrors along both axes, each with probability one half; ``rotate`` turns by a multiple of 90 degrees. ``jitter``,
    ``grayscale`` (probability) and ``blur`` (probability) are SimCLR's; on other bands than R, G, B ``saturation`` and
    ``grayscale`` use the mean of the bands. ``drop_sensor`` replaces one of several sensors by its mean, with this
    probability, so that either may be missing (kind ``labels`` alone: what is contrasted must be there).
    """

    crop: Count | None = None
    zoom: tuple[Share, Share] | None = None
    flip: bool = False
    rotate: bool = False
    jitter: JitterSettings = JitterSettings()
    grayscale: Share = 0.0
    blur: Share = 0.0
    drop_sensor: Share = 0.0


class TeacherSettings(Frozen):
    """A teacher that follows the trained encoders: each of its weights keeps ``momentum`` of itself a step.

    With ``info_nce`` or ``nt_xent`` and a ``memory`` this is MoCo; ``byol`` and ``dino`` need it.
    """

    momentum: Fraction = 0.99


class ProjectionSettings(Frozen):
    """The projection head: Linear, (BatchNorm,) ReLU, Linear to ``out``; None leaves it out, as D-Swin's code does.

    ``hidden`` defaults to the encoder's own width.
    """

    hidden: Count | None = None
    out: Count = 128
    batchnorm: bool = False


def _loss_options(value: Any) -> Any:
    if not isinstance(value, dict) or "name" not in value:
        return value
    try:
        record = find_loss(value["name"])
    except InputError as error:
        raise ValueError(str(error)) from None
    try:
        return record.options.model_validate(value)
    except ValidationError as error:
        raise ValueError(describe_errors(error, record.options, value)) from None


class SslExperiment(Frozen):
    """One self-supervised training, described completely; ``chips`` is the URL of a chip store.

    One entry in ``views`` makes two augmented views of each chip for one encoder (SimCLR); two entries make one view
    by each of two encoders (contrast across sensors). ``memory`` keeps the embeddings of so many chips before as
    further negatives. ``chunk`` encodes so many views at a time and computes them again for the gradient (gradient
    caching): memory no longer grows with the batch, which needs encoders without BatchNorm.

    ``sampler`` orders the training chips of an epoch: ``shuffled``; ``by_scene``, shuffled among some thousand
    neighbours, scene after scene, for stores that are read from afar; ``area_weighted``, drawn with replacement in
    proportion to the ground that each scene covers. See `geozoo.eo.chips.samplers`.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)
    title: str = ""
    kind: Literal["ssl"]
    chips: str = ""
    split: SplitSettings = SplitSettings()
    sampler: Sampler = "shuffled"
    views: dict[str, ViewSettings] = Field(min_length=1, max_length=2)
    augmentation: AugmentationSettings = AugmentationSettings()
    projection: ProjectionSettings | None = ProjectionSettings()
    teacher: TeacherSettings | None = None
    memory: Count | None = None
    chunk: Count | None = None
    loss: Annotated[SerializeAsAny[LossOptions], BeforeValidator(_loss_options)]
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings
    provenance: Origin = Origin()

    @model_validator(mode="after")
    def _fits_together(self) -> SslExperiment:
        record = find_loss(self.loss.name)
        if record.asymmetric and self.teacher is None:
            raise ValueError(f"loss {record.name!r} learns from a teacher: add teacher: {{momentum: 0.99}}")
        if self.teacher and not (record.asymmetric or record.queues):
            raise ValueError(f"loss {record.name!r} has no use for a teacher: leave it out")
        if self.memory and not record.queues:
            raise ValueError(f"loss {record.name!r} has no use for a memory: leave it out")
        if self.chunk and (record.maps or self.teacher):
            raise ValueError(
                f"chunk is for losses of embeddings without a teacher, not for {record.name!r}: leave it out"
            )
        if self.augmentation.drop_sensor:
            raise ValueError("augmentation.drop_sensor is for experiments of kind labels: leave it out")
        return self


def load_ssl_experiment(path: str | Path, overrides: Iterable[str] = ()) -> SslExperiment:
    """Read an experiment file and apply overrides such as ``chips=eurosat-chips`` or ``training.epochs=5``.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a field is unknown, missing or wrong.
    """
    return load_document(path, overrides, SslExperiment, "experiment", "experiments/ssl/eurosat_simclr.yaml")
