"""``chips.json``: what a chip store is."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from geozoo.eo.chips.array import ChipArray
from geozoo.errors import InputError

HEADER_NAME = "chips.json"
INDEX_NAME = "index.parquet"
ARRAYS = "chips.zarr"


class Onto(BaseModel):
    """A grid that tiles are brought to: a CRS, and the side of a pixel in its units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: str
    resolution: float


class ChipHeader(BaseModel):
    """Written first, by whoever ingests first; another plan is refused.

    Attributes:
        format: version of the layout.
        name: of the collection.
        classes: names by class number.
        multilabel: whether a tile may have several classes.
        size: side of a chip in pixels.
        count: chips.
        part: chips that are written together.
        arrays: by modality.
        onto: the grid of all chips, None where each tile keeps that of its first raster.
        labels_of: whose the labels of a chip are: its tile's, or those of its own mask where tiles have none.
        plan_sha256: of the plan; see `geozoo.eo.chips.plan.digest_plan`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    classes: tuple[str, ...]
    multilabel: bool
    size: int
    count: int
    part: int
    arrays: dict[str, ChipArray]
    onto: Onto | None = None
    labels_of: Literal["tile", "mask"] = "tile"
    plan_sha256: str

    @property
    def parts(self) -> int:
        """How many parts the chips are written in."""
        return -(-self.count // self.part)

    def dumps(self) -> bytes:
        """As JSON."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def loads(cls, data: bytes, name: str) -> Self:
        """From JSON.

        Raises:
            InputError: it is no such JSON.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"{name} is not the header of a chip store ({first['msg']}): give the URL of one, or ingest again"
            ) from None


def part_name(number: int) -> str:
    """The index of one part, whose presence says that its pixels are there."""
    return f"parts/{number:06d}.parquet"
