"""Networks by name, their activations, initialisers and layer layout."""

from geozoo.nets import plain as _plain  # noqa: F401  (fills the registry)
from geozoo.nets import resnet as _resnet  # noqa: F401
from geozoo.nets.activations import ACTIVATIONS
from geozoo.nets.initialisers import INITIALISERS, find_initialiser
from geozoo.nets.layout import Layout, TensorSlot, derive_layout, flatten, load_flat, num_parameters, unflatten
from geozoo.nets.registry import (
    NETWORKS,
    OWN,
    NetworkRecord,
    NetworkShape,
    build_network,
    find_network,
    register_network,
)

__all__ = [
    "ACTIVATIONS",
    "INITIALISERS",
    "NETWORKS",
    "OWN",
    "Layout",
    "NetworkRecord",
    "NetworkShape",
    "TensorSlot",
    "build_network",
    "derive_layout",
    "find_initialiser",
    "find_network",
    "flatten",
    "load_flat",
    "num_parameters",
    "register_network",
    "unflatten",
]
