"""The part of a recipe that chooses an image set."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from geozoo.datasets.prepare import Preparation
from geozoo.datasets.registry import IMAGE_SETS, find_record
from geozoo.errors import RecipeError

PositiveInt = Annotated[int, Field(gt=0)]
Side = Annotated[int, Field(ge=1, le=1024)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, int | float) else value


class SplitLimits(BaseModel):
    """How many images of each split to keep: the first of its shuffled order; None keeps all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: PositiveInt | None = None
    validation: PositiveInt | None = None
    test: PositiveInt | None = None


class DatasetOptions(BaseModel):
    """Which image set, from where, how much of it, and how it is prepared.

    ``path`` is a file or folder; without it the set is looked for under the folder that the environment variable
    ``GEOZOO_DATA`` names. ``size`` (side in pixels) and ``split_seed`` (42 unless the set was published with another)
    that are left out are filled in from the registry here, so that a dumped recipe says what was used; only
    ``image_parquet`` may keep ``size`` None, the side of its first image. With ``crop``, which keeps the middle so many
    pixels, ``size`` is ``crop`` unless given. ``grayscale`` makes one channel of three. ``validation`` is the fraction
    of the images to train on that is held out, ``mean`` and ``std`` normalise, one value for each channel or one for
    all: left out, they are those of the set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str | None = None
    size: Side | None = None
    grayscale: bool = False
    crop: Side | None = None
    mean: Annotated[tuple[Finite, ...] | None, BeforeValidator(_as_list)] = None
    std: Annotated[tuple[PositiveFinite, ...] | None, BeforeValidator(_as_list)] = None
    validation: Annotated[float, Field(gt=0, lt=1)] | None = None
    limits: SplitLimits = SplitLimits()
    split_seed: Annotated[int, Field(ge=0, lt=2**64)] = 42

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults_of_the_set(cls, values: Any) -> Any:
        record = IMAGE_SETS.get(str(values.get("name"))) if isinstance(values, dict) else None
        if record is None:
            return values
        given = {key: value for key, value in values.items() if value is not None}
        return {"size": given.get("crop", record.size), "split_seed": record.split_seed} | given

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        return find_record(name).name

    @model_validator(mode="after")
    def _path_fits_the_set(self) -> DatasetOptions:
        rule = find_record(self.name).path
        if rule == "refused" and self.path is not None:
            raise RecipeError(f"image set {self.name!r} needs no files but path is {self.path!r}: leave path out")
        if rule == "required" and self.path is None:
            raise RecipeError(f"image set {self.name!r} has no path: name its file or folder in path")
        return self

    @model_validator(mode="after")
    def _preparation_fits_the_set(self) -> DatasetOptions:
        record = find_record(self.name)
        if self.grayscale and record.channels == 1:
            raise RecipeError(f"image set {self.name!r} is grey but grayscale is true: leave grayscale out")
        if (self.mean is None) != (self.std is None):
            there, missing = ("mean", "std") if self.std is None else ("std", "mean")
            raise RecipeError(f"{there} is given without {missing}: give both or neither")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, self.channels or len(values)):
                raise RecipeError(
                    f"{name} has {len(values)} values but images have {self.channels} channels: give one for each, "
                    "or one for all"
                )
        if self.validation is not None and record.validation == 0:
            raise RecipeError(f"image set {self.name!r} brings its own validation split: leave validation out")
        if self.validation is not None and self.validation + record.test >= 1:
            raise RecipeError(
                f"validation is {self.validation:g} and {record.test:g} is for test: leave something to train on"
            )
        return self

    @property
    def channels(self) -> int | None:
        """Channels of the prepared images, None where the files tell."""
        return 1 if self.grayscale else find_record(self.name).channels

    @property
    def preparation(self) -> Preparation:
        """What is done to every image."""
        return Preparation(size=self.size, crop=self.crop, grayscale=self.grayscale)
