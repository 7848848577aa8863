"""The networks of the zoos, by name: one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    DropoutFactory = Callable[[int], nn.Module]


OWN = "own"
"""The activation and the initialiser of a network that is taken as it is."""

TIMM_PREFIX = "timm/"


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """What a builder needs to know: image ``channels`` and ``size``, number of ``classes``, ``activation`` by name."""

    channels: int
    size: int
    classes: int
    activation: str


@dataclass(frozen=True, kw_only=True)
class NetworkRecord:
    """One network of the catalogue.

    ``build`` makes the module; its dropout layers come from the factory it is handed, numbered from 0 in forward order,
    so that an engine can put its own in. ``sizes`` lists the image sizes it is defined for (``None``: any from
    ``min_size`` on), ``channels`` and ``classes`` likewise; ``bias`` is what every bias starts from. A network that is
    taken ``as_it_is`` has activations, initial weights and biases of its own, which recipes call `OWN`, no dropout, and
    members that train one by one.
    """

    name: str
    summary: str
    build: Callable[[NetworkShape, DropoutFactory], nn.Module]
    sizes: tuple[int, ...] | None = None
    min_size: int = 1
    channels: tuple[int, ...] | None = None
    classes: tuple[int, ...] | None = None
    bias: float = 0.01
    as_it_is: bool = False

    def check(self, shape: NetworkShape) -> None:
        """Raise `NetworkError` where the network is not defined for such images."""
        for what, value, allowed in (
            ("image size", shape.size, self.sizes),
            ("channel count", shape.channels, self.channels),
            ("class count", shape.classes, self.classes),
        ):
            if allowed is not None and value not in allowed:
                raise NetworkError(
                    f"network {self.name!r} does not fit {what} {value}: it is defined for "
                    f"{', '.join(map(str, allowed))}; {_remedy(what)} or choose another network."
                )
        if shape.size < self.min_size:
            raise NetworkError(
                f"network {self.name!r} does not fit image size {shape.size}: it needs at least "
                f"{self.min_size} pixels; set dataset.size or choose another network."
            )


def _remedy(what: str) -> str:
    return "set dataset.size" if what == "image size" else "use another image set"


NETWORKS: dict[str, NetworkRecord] = {}


def register_network(record: NetworkRecord) -> NetworkRecord:
    """Add a record; a name can be taken once."""
    if record.name in NETWORKS:
        raise NetworkError(f"network {record.name!r} is registered twice: choose another name.")
    NETWORKS[record.name] = record
    return record


def find_network(name: str) -> NetworkRecord:
    """Return the record of a name, or raise `NetworkError` naming those there are."""
    if name.startswith(TIMM_PREFIX):
        from geozoo.nets.timm_models import timm_network

        return timm_network(name)
    if name not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise NetworkError(f"there is no network {name!r}: choose one of {known}, or timm/<model>.")
    return NETWORKS[name]


def build_network(
    name: str,
    *,
    channels: int,
    size: int,
    classes: int,
    activation: str,
    dropout: float = 0.0,
    make_dropout: DropoutFactory | None = None,
) -> nn.Module:
    """Build a network for images ``[n, channels, size, size]``; its output are logits ``[n, classes]``.

    Its parameters hold torch's default initialisation; the zoos' own comes from `geozoo.nets.initialisers`.

    Args:
        name: a name of `NETWORKS`, or ``timm/<model>``.
        channels: image channels.
        size: image height and width in pixels.
        classes: number of logits.
        activation: a name of `geozoo.nets.activations.ACTIVATIONS`, or `OWN` for a network taken as it is.
        dropout: probability of dropping a unit, for ``torch.nn.Dropout`` layers.
        make_dropout: called with 0, 1, ... in forward order to make other dropout layers instead.

    Raises:
        NetworkError: the network or activation does not exist, or does not fit the images.
    """
    from torch import nn

    record = find_network(name)
    shape = NetworkShape(channels=channels, size=size, classes=classes, activation=activation)
    record.check(shape)
    return record.build(shape, make_dropout or (lambda _: nn.Dropout(dropout)))
