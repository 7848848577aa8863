"""``zoo.json``: what a zoo was made from, written once."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from geozoo.errors import DamagedZooError, NetworkError, StoreUnusableError
from geozoo.nets.layout import TensorSlot, num_parameters
from geozoo.store import sealed
from geozoo.store.merged import Merged

HEADER_NAME = "zoo.json"
FORMAT_VERSION = 2
"""To be raised by any change of the fields below: commits hold the SHA-256 of the header as these fields make it."""

POPULATED, WITH_ORIGIN = 1, 2
"""Versions that are written: a zoo without an ``origin`` is what the first version was, byte for byte."""


class Origin(BaseModel):
    """Where the members of an imported zoo come from; a zoo that was populated here has none.

    ``kind`` names the importer and ``source`` the folder or file, without its path. ``config`` are settings that all
    members share, under the source's names. ``names`` tells the source's name of columns of the plan and of metrics
    that have another one here, ``encoded`` the columns of the plan that hold JSON, ``keys`` the spellings of the
    ``state_dict`` keys that were met, each in the order of the layout. ``left_out`` counts by reason what the source
    has and the zoo has not. ``fingerprint`` tells whether the source is still what it was when the import began;
    earlier imports have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    source: str
    config: dict[str, Any] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    encoded: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    fingerprint: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a fingerprint an origin is what it was before there were any, byte for byte."""
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if name != "fingerprint" or value is not None}

    @property
    def words(self) -> str:
        """How the zoo came about, after "the zoo was"."""
        return f"imported from {self.source!r} ({self.kind})"


class ZooHeader(BaseModel):
    """What all members of a zoo share.

    ``recipe`` is the resolved recipe and ``dataset`` describes the image set; both are opaque here except
    ``dataset["fingerprint"]``, which goes into every member's digest. ``checkpoints`` are the epochs whose states are
    stored, ascending; ``dtype`` is how weights are stored, ``precision`` how they were trained. ``plan_sha256`` is the
    SHA-256 of ``plans/0.parquet``; :func:`geozoo.store.create_zoo` fills it in. ``origin`` is there in an imported zoo,
    whose recipe holds no more than its name, its network where that is one of the catalogue, and its image set where
    that was given, and in a merged one, whose recipe is what the recipes of its sources have in common.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = POPULATED
    name: str
    recipe: dict[str, Any]
    dataset: dict[str, Any]
    layout: tuple[TensorSlot, ...] = Field(min_length=1)
    checkpoints: tuple[int, ...] = Field(min_length=1)
    dtype: Literal["float32", "float16"] = "float32"
    engine: str
    precision: str = "float32"
    plan_sha256: str = ""
    origin: Merged | Origin | None = None

    @field_validator("dataset")
    @classmethod
    def _has_fingerprint(cls, dataset: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(dataset.get("fingerprint"), str):
            raise ValueError("the data set needs a fingerprint")
        return dataset

    @field_validator("checkpoints")
    @classmethod
    def _ascend(cls, checkpoints: tuple[int, ...]) -> tuple[int, ...]:
        if list(checkpoints) != sorted(set(checkpoints)):
            raise ValueError("checkpoints must ascend")
        return checkpoints

    @property
    def imported(self) -> Origin | None:
        """Where an imported zoo comes from; None for any other, a merged one of imported ones too."""
        return self.origin if isinstance(self.origin, Origin) else None

    @property
    def num_parameters(self) -> int:
        """Length of a member's flat weight vector."""
        return num_parameters(self.layout)

    @property
    def keeps_best(self) -> bool:
        """Whether the one checkpoint of every member is its best epoch: see `geozoo.store.best`."""
        training = self.recipe.get("training")
        return isinstance(training, dict) and training.get("checkpoints") == "best"

    @property
    def evaluated_epochs(self) -> tuple[int, ...]:
        """The epochs that have metrics: the checkpoints, or all trained ones where the best is kept."""
        return tuple(range(1, self.checkpoints[-1] + 1)) if self.keeps_best else self.checkpoints

    @property
    def network(self) -> dict[str, Any]:
        """Which network the members are: ``name``, ``channels``, ``size`` and ``classes``, as `geozoo.nets` asks.

        Raises:
            NetworkError: the zoo was imported and its members are no network of the catalogue.
        """
        if "network" not in self.recipe:
            raise NetworkError(
                f"the members of zoo {self.name!r} were imported and are no network of the catalogue, so they cannot "
                "be built here: use their state_dict, weights or layout."
            )
        images = self.dataset
        name, classes = self.recipe["network"]["name"], len(images["classes"])
        return {"name": name, "channels": images["channels"], "size": images["size"], "classes": classes}

    def dumps(self) -> bytes:
        """The bytes of ``zoo.json``, a pure function of the content."""
        return sealed.dumps(self.model_dump(mode="json", exclude=None if self.origin else {"origin"}))

    @property
    def sha256(self) -> str:
        """SHA-256 of ``zoo.json``."""
        return hashlib.sha256(self.dumps()).hexdigest()

    @classmethod
    def loads(cls, data: bytes, name: str = HEADER_NAME) -> Self:
        """Read ``zoo.json``; ``name`` is for the messages.

        Raises:
            DamagedZooError: its bytes are not what was written.
            StoreUnusableError: a newer geozoo wrote it.
        """
        payload = sealed.loads(data, name)
        version = payload.get("version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise StoreUnusableError(
                f"{name} has format version {version} and this geozoo reads up to {FORMAT_VERSION}: upgrade geozoo."
            )
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            raise DamagedZooError(f"{name} is not the header of a zoo: {error.errors()[0]['msg']}.") from error
