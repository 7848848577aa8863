"""What models are called beside each other: seeds of one experiment alike, all others apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from geozoo.hyper.trained import ModelCard


def model_titles(cards: Sequence[ModelCard]) -> list[str]:
    """One title for each model: the name of its experiment, and where models of that name differ, in what.

    Models that differ in ``training.seed`` alone have the same title. What does not decide the model does not count:
    title, provenance, search, and where the zoos lay.
    """
    described = [_described(card) for card in cards]
    titles = []
    for card, own in zip(cards, described, strict=True):
        name = card.experiment.name
        alike = [other for other, of in zip(described, cards, strict=True) if of.experiment.name == name]
        fields = sorted({field for one in alike for field in one})
        apart = [field for field in fields if any(one.get(field) != own.get(field) for one in alike)]
        values = ", ".join(f"{field} {own.get(field, 'not there')}" for field in apart)
        titles.append(f"{name} ({values})" if values else name)
    return titles


def _described(card: ModelCard) -> dict[str, Any]:
    """All that decides a model but its seed, by dotted field."""
    tree = card.experiment.model_dump(mode="json", exclude={"title", "provenance", "search", "zoo"})
    del tree["training"]["seed"]
    zoos = ", ".join(f"{zoo.name} with {len(zoo.members)} members" for zoo in card.zoos)
    return {**dict(_flat(tree)), "zoo": zoos}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
