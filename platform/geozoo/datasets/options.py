"""The part of a recipe that chooses an image set."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from geozoo.datasets.registry import IMAGE_SETS, find_record
from geozoo.errors import RecipeError

PositiveInt = Annotated[int, Field(gt=0)]


class SplitLimits(BaseModel):
    """How many images of each split to keep: the first of its shuffled order; None keeps all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: PositiveInt | None = None
    validation: PositiveInt | None = None
    test: PositiveInt | None = None


class DatasetOptions(BaseModel):
    """Which image set, from where, and how much of it.

    ``path`` is a file or folder; without it the set is looked for under the folder that the environment variable
    ``GEOZOO_DATA`` names. ``size`` (side in pixels) and ``split_seed`` (42 unless the set was published with another)
    that are left out are filled in from the registry here, so that a dumped recipe says what was used; only
    ``image_parquet`` may keep ``size`` None, the side of its first image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str | None = None
    size: Annotated[int, Field(ge=1, le=1024)] | None = None
    limits: SplitLimits = SplitLimits()
    split_seed: Annotated[int, Field(ge=0, lt=2**64)] = 42

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults_of_the_set(cls, values: Any) -> Any:
        record = IMAGE_SETS.get(str(values.get("name"))) if isinstance(values, dict) else None
        if record is None:
            return values
        given = {key: value for key, value in values.items() if value is not None}
        return {"size": record.size, "split_seed": record.split_seed} | given

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
