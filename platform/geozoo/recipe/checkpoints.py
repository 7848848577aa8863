"""Which epochs of a training are stored: every, the last, the best, every so many, or a list."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from geozoo.recipe.space import Count, Frozen


class EveryNth(Frozen):
    """The epochs ``first``, ``first + every``, ... and in any case the last one."""

    every: Count
    first: Annotated[int, Field(ge=0, strict=True)] = 0


def _known_form(value: Any) -> Any:
    """Refuse in one sentence what is none of the forms; pydantic would complain about each of them."""
    if value in ("every", "last", "best") or isinstance(value, EveryNth):
        return value
    if isinstance(value, list | tuple) and all(type(epoch) is int for epoch in value):
        return value
    if isinstance(value, dict) and "every" in value and value.keys() <= {"every", "first"}:
        for name, least in (("every", 1), ("first", 0)):
            number = value.get(name, least)
            if type(number) is not int or number < least:
                raise ValueError(f"{name} should be a whole number of at least {least} (got {number!r})")
        return value
    raise ValueError(
        "should be every, last, best, every so many epochs such as {every: 5, first: 0}, "
        f"or a list of whole epochs such as [0, 10, 20] (got {value!r})"
    )


Checkpoints = Annotated[Literal["every", "last", "best"] | EveryNth | tuple[int, ...], BeforeValidator(_known_form)]


def check_checkpoints(chosen: Checkpoints, epochs: int) -> None:
    """Raise ``ValueError`` where the epochs chosen are not among those of a training of ``epochs``."""
    if isinstance(chosen, EveryNth) and chosen.first > epochs:
        raise ValueError(f"first {chosen.first} is after the {epochs} epochs trained, lower it")
    if isinstance(chosen, tuple):
        rising = list(chosen) == sorted(set(chosen))
        if not chosen or not rising or chosen[0] < 0 or chosen[-1] > epochs:
            raise ValueError(f"{list(chosen)} must rise from at least 0 to at most the {epochs} epochs trained")


def stored_epochs(chosen: Checkpoints, epochs: int) -> tuple[int, ...]:
    """The epochs that states are stored under, in order: see `geozoo.recipe.model.Training`."""
    match chosen:
        case "every":
            return tuple(range(epochs + 1))
        case "last" | "best":
            return (epochs,)
        case EveryNth(every=every, first=first):
            return tuple(sorted({*range(first, epochs + 1, every), epochs}))
    return chosen
