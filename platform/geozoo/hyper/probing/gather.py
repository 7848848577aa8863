"""What a probe works on: one zoo or two, their split, and whether a trained model may be judged on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.collect import Source, collect_states
from geozoo.hyper.probing.features import EQUIVARIANT, find_feature_sets
from geozoo.hyper.probing.states import read_population
from geozoo.hyper.splits import PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.probing.features import Encoder
    from geozoo.hyper.probing.states import Population, ProbeStates, Progress
    from geozoo.hyper.splits import SplitBy
    from geozoo.store import Zoo
    from geozoo.weights.wiring import Wiring

FEW_MEMBERS = 20


@dataclass(frozen=True)
class Gathered:
    """States, the populations they are of, and what to say of them.

    ``constant`` names the targets that do not vary; ``split_members`` counts the members of each part; ``too_few`` is
    the complaint if nothing can be fitted.
    """

    states: ProbeStates
    populations: tuple[Population, ...]
    constant: list[str]
    split_members: dict[str, int]
    notes: list[str]
    too_few: str


def gather(
    zoo: Zoo,
    features: Sequence[str],
    split: SplitBy,
    targets: Sequence[str],
    encoder: Encoder | None,
    test_zoo: Zoo | None,
    seed: int,
    progress: Progress,
) -> Gathered:
    """Read, check and collect: arguments and errors as in ``geozoo.hyper.probing.probe.probe``."""
    if test_zoo is not None and test_zoo.layout != zoo.layout:
        raise InputError(
            f"zoos {zoo.header.name!r} and {test_zoo.header.name!r} hold networks of different layouts "
            f"({zoo.header.num_parameters:,} and {test_zoo.header.num_parameters:,} parameters): test on a zoo of the "
            "same network."
        )
    feature_sets = find_feature_sets(features, zoo.layout, encoder)
    sources = [Source(zoo, read_population(zoo, split), PARTS if test_zoo is None else PARTS[:2])]
    if test_zoo is not None:
        sources.append(Source(test_zoo, read_population(test_zoo, split), PARTS[2:]))
    if encoder is not None:
        _refuse_seen_members(encoder, sources, split)
    wiring = _wiring(zoo) if EQUIVARIANT in features else None
    states, constant = collect_states(sources, feature_sets, targets, seed, progress)
    populations = tuple(source.population for source in sources)
    return Gathered(
        states=replace(states, wiring=wiring),
        populations=populations,
        constant=constant,
        split_members={
            part: int(np.sum(source.population.part == part)) for source in sources for part in source.parts
        },
        notes=[*_encoder_notes(encoder, zoo), *(note for source in sources for note in _notes(source, split))],
        too_few=(
            f"{sum(len(population.members) for population in populations)} members of zoo {zoo.header.name!r} are too "
            f"few to probe: by {split} they leave a part of the split empty; populate more."
        ),
    )


def _wiring(zoo: Zoo) -> Wiring:
    """How the layers of a zoo's network follow each other; refused where they are no plain row."""
    from geozoo.weights.wiring import network_wiring

    return network_wiring(**zoo.header.network)


def _refuse_seen_members(encoder: Encoder, sources: Sequence[Source], split: str) -> None:
    """Refuse an encoder that was trained on a member whose part here is not train."""
    seen = [
        (member, part)
        for source in sources
        for member, part in zip(source.population.members["member"], source.population.part, strict=True)
        if part != "train" and part in source.parts and member in encoder.train_members
    ]
    if seen:
        member, part = seen[0]
        raise InputError(
            f"the model was trained on {len(seen)} members that this probe's split by {split} holds out (member "
            f"{member} for {part}), so its embedding would be judged on what it has seen: the model was trained with "
            f"a split by {encoder.split_by}, probe with the same or train another."
        )


def _encoder_notes(encoder: Encoder | None, zoo: Zoo) -> list[str]:
    """What the reader must know where the encoder comes from another zoo."""
    if encoder is None or not encoder.train_members or encoder.train_members & set(zoo.members["member"]):
        return []
    return [
        f"The model was trained on no member of zoo {zoo.header.name!r}: its embedding is judged on a zoo that it has "
        "not learned from."
    ]


def _notes(source: Source, split: str) -> list[str]:
    """What the reader must know about few members and seeds used again."""
    population, name = source.population, source.zoo.header.name
    notes = []
    if len(population.members) < FEW_MEMBERS:
        notes.append(
            f"{len(population.members)} members are too few for a meaningful score: read the intervals, or populate at "
            f"least {FEW_MEMBERS}."
        )
    if population.reuses_seeds and split != "seed":
        notes.append(
            f"Members of zoo {name!r} with different hyper-parameters share seeds, so members of different parts may "
            "have started from the same weights: a split by seed keeps them apart."
        )
    return notes
