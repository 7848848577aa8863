"""Hyper-parameters, the grids of them that the members of a zoo have, and their seeds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from geozoo.nets import ACTIVATIONS, INITIALISERS, OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop"]
OPTIMIZER_NAMES: tuple[str, ...] = get_args(OptimizerName)

MAX_SEED = 2**32 - 1
MAX_RANDOM_SEEDS = 1000


class Frozen(BaseModel):
    """A typed, immutable part of a recipe that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _known(names: Iterable[str], what: str) -> AfterValidator:
    known = sorted(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}, choose one of {', '.join(known)}")
        return name

    return AfterValidator(check)


Activation = Annotated[str, _known([*ACTIVATIONS, OWN], "activation")]
Initialiser = Annotated[str, _known([*INITIALISERS, OWN], "initialiser")]
Optimizer = Annotated[str, _known(OPTIMIZER_NAMES, "optimizer")]
Positive = Annotated[float, Field(gt=0, strict=True)]
NonNegative = Annotated[float, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]


class HyperParameters(Frozen):
    """The hyper-parameters of one member, checked one by one.

    ``init_std`` is read by the initialisers ``normal`` and ``trunc_normal``; ``momentum`` by SGD and RMSprop. A network
    of timm has ``activation`` and ``init`` ``own``, which no other network has, and no dropout.
    """

    activation: Activation
    init: Initialiser
    init_std: Positive = 1.0
    optimizer: Optimizer
    lr: Positive
    weight_decay: NonNegative = 0.0
    momentum: Fraction = 0.9
    dropout: Fraction = 0.0
    batch_size: Count = 10


HYPERPARAMETERS: tuple[str, ...] = tuple(HyperParameters.model_fields)


def hyperparameters_of(row: Mapping[Any, Any]) -> HyperParameters:
    """The hyper-parameters in one row of a plan table."""
    return HyperParameters(**{name: row[name] for name in HYPERPARAMETERS})


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _without_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"lists {value!r} twice, keep it once")
    return values


T = TypeVar("T")
Values = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_without_repeats)]
"""One value or a list of different ones."""


class Grid(Frozen):
    """A value or a list of values for each hyper-parameter; every combination is one cell."""

    activation: Values[Activation]
    init: Values[Initialiser]
    init_std: Values[Positive] = (1.0,)
    optimizer: Values[Optimizer]
    lr: Values[Positive]
    weight_decay: Values[NonNegative] = (0.0,)
    momentum: Values[Fraction] = (0.9,)
    dropout: Values[Fraction] = (0.0,)
    batch_size: Values[Count] = (10,)

    def cells(self) -> Iterator[HyperParameters]:
        """Every combination, the last hyper-parameter running fastest."""
        axes = [getattr(self, name) for name in HYPERPARAMETERS]
        for values in itertools.product(*axes):
            yield HyperParameters(**dict(zip(HYPERPARAMETERS, values, strict=True)))


class Seeds(Frozen):
    """Which seeds every cell is trained with.

    ``fixed`` re-uses ``first``, ``first + 1``, ... in every cell (the published "fix" zoos, and with one cell the seed
    zoos); ``random`` draws ``count`` seeds below one million for every cell (the published "rand" zoos), other ones for
    another ``first``.
    """

    kind: Literal["fixed", "random"] = "fixed"
    count: Count = 1
    first: Seed = 1

    @model_validator(mode="after")
    def _check_range(self) -> Seeds:
        if self.kind == "random" and self.count > MAX_RANDOM_SEEDS:
            raise ValueError(
                f"count {self.count} is over the {MAX_RANDOM_SEEDS} random seeds that a cell may have: lower it"
            )
        if self.first + self.count - 1 > MAX_SEED:
            raise ValueError(f"the last seed {self.first + self.count - 1} is over {MAX_SEED}: lower first or count")
        return self
