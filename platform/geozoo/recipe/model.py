"""The recipe: everything that decides what a zoo holds, typed and validated."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from geozoo.datasets import DatasetOptions  # noqa: TC001  (pydantic reads the annotation)
from geozoo.nets import OWN, find_network
from geozoo.recipe.checkpoints import Checkpoints, check_checkpoints, stored_epochs
from geozoo.recipe.sampled import Space  # noqa: TC001
from geozoo.recipe.space import Count, Frozen, Grid, Seeds

Provenance = Literal["published", "inferred", "ours"]
PROVENANCES: tuple[Provenance, ...] = get_args(Provenance)


class NetworkOptions(Frozen):
    """Which network of the catalogue the members are."""

    name: str

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return find_network(name).name


class Population(Frozen):
    """Which members there are: every cell of ``grid``, or draws from ``space``, times ``seeds``.

    ``members`` plans only the first so many: all cells once, in an order that mixes them, then all cells with their
    second seed, and so on. A sampled space has no end, so it needs the number.
    """

    grid: Grid | None = None
    space: Space | None = None
    seeds: Seeds = Seeds()
    members: Count | None = None

    @model_validator(mode="after")
    def _check_source(self) -> Population:
        if (self.grid is None) == (self.space is None):
            there = "both" if self.grid is not None else "neither"
            raise ValueError(f"has {there} of grid and space: give exactly one")
        if self.space is not None and self.members is None:
            raise ValueError("members is missing, which a sampled space needs: give the number of members")
        return self

    def values_of(self, hyperparameter: str) -> tuple[Any, ...]:
        """The values that a hyper-parameter may take; of an interval its ends."""
        if self.grid is not None:
            values: tuple[Any, ...] = getattr(self.grid, hyperparameter)
            return values
        return self.space.values_of(hyperparameter) if self.space is not None else ()


class Training(Frozen):
    """How every member is trained, with cross-entropy.

    ``checkpoints`` tells the epochs whose states and metrics are stored (0 is the initialisation): ``every`` one, the
    ``last``, ``{every: k, first: n}`` (n, n + k, ... and the last), or a list. ``best`` stores one state a member,
    under the last epoch: that of its trained epoch of highest validation accuracy, see `geozoo.store.best`.

    ``precision`` is the arithmetic of the engine: ``tf32`` is float32 that allows products of TF32 on a GPU,
    ``bfloat16`` keeps weights and updates in float32 and computes the network under autocast; weights are stored as
    ``store.dtype`` either way. ``schedule`` ``onecycle`` is `torch.optim.lr_scheduler.OneCycleLR` at its defaults,
    stepped after every batch, with the member's ``lr`` as its maximum. ``augmentation`` ``crop_flip`` moves every
    training image by up to four pixels and mirrors every other one, ``flip_rotate`` mirrors every other one and turns
    each by up to 20 degrees: see `geozoo.population.augmentation`.
    """

    epochs: Count
    checkpoints: Checkpoints = "every"
    precision: Literal["float32", "float64", "tf32", "bfloat16"] = "float32"
    schedule: Literal["constant", "onecycle"] = "constant"
    augmentation: Literal["none", "crop_flip", "flip_rotate"] = "none"

    @field_validator("checkpoints")
    @classmethod
    def _are_trained(cls, chosen: Checkpoints, info: ValidationInfo) -> Checkpoints:
        if (epochs := info.data.get("epochs")) is not None:
            check_checkpoints(chosen, epochs)
        return chosen

    @property
    def checkpoint_epochs(self) -> tuple[int, ...]:
        """The epochs that states are stored under, in order."""
        return stored_epochs(self.checkpoints, self.epochs)

    @property
    def evaluated_epochs(self) -> tuple[int, ...]:
        """The epochs whose states and metrics an engine gives, in order: all trained ones where the best is kept."""
        return tuple(range(1, self.epochs + 1)) if self.checkpoints == "best" else self.checkpoint_epochs


ADDED_TRAINING_FIELDS = {"schedule": "constant", "augmentation": "none"}
"""Fields that came after the first zoos: at these values they do not enter the ids of members, which stay."""


ADDED_DATASET_FIELDS = {"grayscale": False, "crop": None, "mean": None, "std": None, "validation": None}
"""Likewise of the image set."""


class Evaluation(Frozen):
    """On how many images of each split a checkpoint is evaluated: the first so many, all where nothing is said."""

    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None


class StoreOptions(Frozen):
    """How states are stored."""

    dtype: Literal["float32", "float16"] = "float32"


class Origin(Frozen):
    """Where the recipe comes from, field by field.

    ``fields`` maps dotted names to ``published``, ``inferred`` or ``ours``; a field not named takes that of its nearest
    named ancestor, at last ``default``.
    """

    default: Provenance = "ours"
    fields: dict[str, Provenance] = Field(default_factory=dict)
    source: str | None = None

    def of(self, field: str) -> Provenance:
        """Tell whether a field, named like ``training.epochs``, is published, inferred or ours."""
        parts = field.split(".")
        for end in range(len(parts), 0, -1):
            if (found := self.fields.get(".".join(parts[:end]))) is not None:
                return found
        return self.default

    def describe(self) -> str:
        """In words: ``published``, or ``ours; published: network.name; inferred: training.epochs``."""
        others: dict[str, list[str]] = {}
        for name, provenance in self.fields.items():
            above, _, _ = name.rpartition(".")
            if provenance != (self.of(above) if above else self.default):
                others.setdefault(provenance, []).append(name)
        exceptions = (f"{known}: {', '.join(others[known])}" for known in PROVENANCES if known in others)
        return "; ".join([self.default, *exceptions])


class Recipe(Frozen):
    """One zoo, described completely."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)
    title: str = ""
    dataset: DatasetOptions
    network: NetworkOptions
    population: Population
    training: Training
    evaluation: Evaluation = Evaluation()
    store: StoreOptions = StoreOptions()
    provenance: Origin = Origin()

    @model_validator(mode="after")
    def _check_own(self) -> Recipe:
        """A network that is taken as it is has its own activations and initial weights, and no other one has."""
        as_it_is = find_network(self.network.name).as_it_is
        for field in ("activation", "init"):
            for value in self.population.values_of(field):
                if as_it_is and value != OWN:
                    raise ValueError(
                        f"{field} {value!r} does not go with {self.network.name}, which has {OWN}: write it"
                    )
                if not as_it_is and value == OWN:
                    raise ValueError(f"{field} {OWN!r} is for networks of timm, {self.network.name} needs one by name")
        if as_it_is and any(self.population.values_of("dropout")):
            raise ValueError(f"dropout does not go with {self.network.name}, which has none of ours: set it to 0")
        return self

    @model_validator(mode="after")
    def _check_provenance(self) -> Recipe:
        known = set(_dotted_names(self.model_dump()))
        for name in self.provenance.fields:
            if name not in known:
                raise ValueError(
                    f"provenance.fields names {name!r}, which is no field of the recipe: check its spelling"
                )
        return self

    def provenance_of(self, field: str) -> Provenance:
        """Tell whether a field, named like ``training.epochs``, is published, inferred or ours."""
        return self.provenance.of(field)

    def identity(self) -> dict[str, Any]:
        """What decides how a member is trained and evaluated, as JSON values, besides its hyper-parameters and seed."""
        sections = {"dataset", "network", "training", "evaluation"}
        tree = self.model_dump(mode="json", include=sections, exclude={"dataset": {"path"}})
        for section, added in (("training", ADDED_TRAINING_FIELDS), ("dataset", ADDED_DATASET_FIELDS)):
            for field, default in added.items():
                if tree[section][field] == default:
                    del tree[section][field]
        return tree

    def zoo_identity(self) -> dict[str, Any]:
        """What two recipes of one zoo must agree in, as JSON values.

        All but notes, where the images lie, and how many members there are: more members, or more seeds for each cell,
        extend a zoo.
        """
        how_many = {"members": True, "seeds": {"count"}}
        excluded: Any = {"dataset": {"path"}, "population": how_many, "title": True, "provenance": True}
        return self.model_dump(mode="json", exclude=excluded)


def _dotted_names(tree: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        names.append(prefix + key)
        if isinstance(value, dict):
            names += _dotted_names(value, f"{prefix}{key}.")
    return names
