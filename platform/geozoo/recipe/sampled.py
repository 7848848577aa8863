"""Sampled spaces: hyper-parameters drawn from choices and intervals."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationError, ValidationInfo, field_validator, model_validator

from geozoo.recipe.space import HYPERPARAMETERS, Frozen, HyperParameters, Seed, Values


def _word_or_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"should be a word or a number (got {value!r})")
    return value


Scalar = Annotated[str | int | float, PlainValidator(_word_or_number)]


class Choice(Frozen):
    """One of ``values``, all equally likely."""

    kind: Literal["choice"]
    values: Values[Scalar]

    def at(self, u: float) -> str | int | float:
        """The value at quantile ``u`` in [0, 1)."""
        return self.values[int(u * len(self.values))]


class Interval(Frozen):
    """A number between ``low`` and ``high``, uniform or uniform in its logarithm."""

    kind: Literal["uniform", "log_uniform"]
    low: Annotated[float, Field(strict=True)]
    high: Annotated[float, Field(strict=True)]

    @field_validator("low")
    @classmethod
    def _has_a_logarithm(cls, low: float, info: ValidationInfo) -> float:
        if info.data.get("kind") == "log_uniform" and low <= 0:
            raise ValueError(f"{low:g} has no logarithm, log_uniform needs low above 0")
        return low

    @field_validator("high")
    @classmethod
    def _is_above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", -math.inf):
            raise ValueError(f"{high:g} is not above low {info.data['low']:g}, swap or part them")
        return high

    def at(self, u: float) -> float:
        """The value at quantile ``u`` in [0, 1), never outside the ends."""
        if self.kind == "uniform":
            value = self.low + u * (self.high - self.low)
        else:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)


Axis = Annotated[Choice | Interval, Field(discriminator="kind")]


class Space(Frozen):
    """Hyper-parameters drawn from a space, as the zoos of Unterthiner et al. (2020) need.

    ``axes`` names the drawn hyper-parameters, ``fixed`` the others; ``method`` is independent draws or a scrambled
    Sobol sequence (Joe and Kuo directions, by SciPy). Draw number i depends on ``method``, ``seed``, ``axes`` and i
    alone, so a zoo can be extended.
    """

    method: Literal["random", "sobol"] = "random"
    seed: Seed = 0
    axes: dict[str, Axis] = Field(min_length=1)
    fixed: dict[str, Scalar] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_values(self) -> Space:
        """Every value drawn or fixed makes valid hyper-parameters: the choices, and both ends of an interval."""
        for name in [*self.axes, *self.fixed]:
            if name not in HYPERPARAMETERS:
                raise ValueError(
                    f"names {name!r}, which is no hyper-parameter: choose among {', '.join(HYPERPARAMETERS)}"
                )
            if name in self.axes and name in self.fixed:
                raise ValueError(f"{name} is in axes and in fixed: keep one")
        first = self.fixed | {name: _extremes(axis)[0] for name, axis in self.axes.items()}
        for name, axis in self.axes.items():
            if isinstance(axis, Interval) and HyperParameters.model_fields[name].annotation is int:
                raise ValueError(f"axes.{name} is {axis.kind}, but a whole number: list its values, with kind choice")
            for value in _extremes(axis):
                _check(first | {name: value})
        return self

    def draws(self, count: int) -> list[HyperParameters]:
        """The first ``count`` draws that differ, or all there are; one that repeats an earlier one is passed over."""
        if all(isinstance(axis, Choice) for axis in self.axes.values()):
            count = min(count, math.prod(len(_extremes(axis)) for axis in self.axes.values()))
        total = count
        while True:
            cells = list(dict.fromkeys(map(self._at, self._quantiles(total))))
            if len(cells) >= count:
                return cells[:count]
            total *= 2

    def values_of(self, hyperparameter: str) -> tuple[Any, ...]:
        """The values that a hyper-parameter may take; of an interval its ends."""
        if hyperparameter in self.axes:
            return _extremes(self.axes[hyperparameter])
        default = HyperParameters.model_fields[hyperparameter].default
        return (self.fixed.get(hyperparameter, default),)

    def _at(self, quantiles: list[float]) -> HyperParameters:
        drawn = {name: self.axes[name].at(u) for name, u in zip(sorted(self.axes), quantiles, strict=True)}
        values: dict[str, Any] = self.fixed | drawn
        return HyperParameters(**values)

    def _quantiles(self, count: int) -> list[list[float]]:
        """The first ``count`` points in the unit cube, its sides in the alphabetical order of the axes."""
        sides = len(self.axes)
        if self.method == "sobol":
            from scipy.stats import qmc

            sobol = qmc.Sobol(d=sides, scramble=True, rng=self.seed)
            points: list[list[float]] = sobol.random_base2((count - 1).bit_length())[:count].tolist()
            return points
        from numpy.random import Generator, Philox

        return [Generator(Philox(key=[self.seed, draw])).random(sides).tolist() for draw in range(count)]


def _extremes(axis: Choice | Interval) -> tuple[str | int | float, ...]:
    return axis.values if isinstance(axis, Choice) else (axis.low, axis.high)


def _check(values: dict[str, Any]) -> None:
    """Raise ``ValueError`` in one clause where these are not the hyper-parameters of a member."""
    try:
        HyperParameters(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name, message = first["loc"][0], first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            raise ValueError(f"{name} is neither in axes nor in fixed: add it") from None
        raise ValueError(f"{name}: {message[:1].lower()}{message[1:]} (got {first['input']!r})") from None
