"""What the analyses of a zoo found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from geozoo.hyper.analysis.barrier import Barrier
    from geozoo.hyper.analysis.homogeneity import Homogeneity
    from geozoo.hyper.analysis.maps import Map
    from geozoo.hyper.analysis.sample import Sample
    from geozoo.hyper.analysis.similarity import Similarity
    from geozoo.hyper.analysis.surface import Surface
    from geozoo.hyper.analysis.variance import MainEffect, SeedSplit
    from geozoo.hyper.probing.states import Population
    from geozoo.store import Zoo

FINAL, OVER_EPOCHS = "final", "all"


@dataclass(frozen=True)
class HomogeneityRow:
    """One property in one space, at the final epoch or over the epochs of the sample."""

    states: str
    space: str
    property: str
    result: Homogeneity


@dataclass(frozen=True)
class MemberSurfaces:
    """The loss around one member, on a plane of random directions and on that of its trajectory, if it has one."""

    member: str
    activation: str
    random: Surface
    trajectory: Surface | None


@dataclass(frozen=True)
class Variance:
    """Where the spread of the final test accuracy (in [0, 1]) comes from."""

    split: SeedSplit
    effects: tuple[MainEffect, ...]


@dataclass(frozen=True)
class Landscape:
    """What the analyses of a zoo found.

    ``sample`` are the states on the maps, followed there by those of ``traced``, every epoch of some members;
    ``left_out`` maps an analysis to the sentence that says why it is missing; ``final_accuracy`` is by member id, on
    test images; ``image_count`` is how many images an evaluation used.
    """

    zoo: Zoo
    population: Population
    sample: Sample
    traced: Sample
    maps: tuple[Map, ...]
    homogeneity: tuple[HomogeneityRow, ...]
    similarity: Similarity | None
    surfaces: tuple[MemberSurfaces, ...]
    barriers: tuple[Barrier, ...]
    variance: Variance | None
    final_accuracy: pd.Series[Any]
    image_count: int
    left_out: dict[str, str] = field(default_factory=dict)
