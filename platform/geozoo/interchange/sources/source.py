"""What every source of an import gives: its members, and their states one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from geozoo.interchange.names import HYPERPARAMETER_NAMES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    import numpy as np
    import torch

    from geozoo.datasets import ImageSet
    from geozoo.interchange.network import Network
    from geozoo.interchange.settings import Settings


@dataclass(frozen=True)
class SourceMember:
    """One model of a source: its name there, the epochs it has states of, and the number of its spelling of keys."""

    name: str
    epochs: tuple[int, ...]
    keys: int = 0


@dataclass
class Found:
    """What looking through a source gave, without its states.

    Attributes:
        network: what all members are.
        members: in a fixed order.
        settings: of each member, in the same order.
        metrics: names of the source's metrics, over all members.
        keys: the spellings of the keys of a state that were met.
        left_out: names of what cannot be taken, by reason.
        fingerprint: of the files of the source; see `geozoo.interchange.fingerprint`.
    """

    network: Network
    members: list[SourceMember]
    settings: Settings
    fingerprint: str
    metrics: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


class Source(ABC):
    """Somebody else's zoo: ``look`` first, then ``state`` and ``rows`` of the members it found."""

    kind: ClassVar[str]
    settings_names: ClassVar[Mapping[str, str]] = HYPERPARAMETER_NAMES
    """Setting of the source -> hyper-parameter of a plan."""
    metric_names: ClassVar[Mapping[str, str]]
    """Metric of the source -> metric here; others keep their name."""

    name: str
    """Name of the folder or file, without its path."""

    @abstractmethod
    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Look through the source, reading no more states than tell which network they are of.

        Raises:
            InputError: it is not what it should be, with its kinds: a missing, damaged or unsafe file.
        """

    @abstractmethod
    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """One state as its flat vector ``[params]``, float32."""

    @abstractmethod
    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """What the source logged of a member, by epoch and by the source's names; NaN where it says so."""

    def images(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Test images ``[n, channels, size, size]`` as networks take them, and labels; None where it brings none."""
        return None

    def prepare(self, images: ImageSet) -> ImageSet:
        """The image set, normalised as this source's networks want it: as it is, unless the source knows better."""
        return images


def most_common(signatures: Counter[Any]) -> Any:
    """What was met most often, the first met where several were."""
    return signatures.most_common(1)[0][0]
