"""Which network the tensors of a file belong to, told by the tensors alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError, NetworkError
from geozoo.nets import NETWORKS, TensorSlot, build_network, derive_layout, num_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch

    from geozoo.nets import Layout
    from geozoo.nets.layout import Role

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of the floating-point tensors of a file, in its order."""

ANY_SIZE = 32
"""Side in pixels that is assumed of a network that takes images of any size."""

_PUBLISHED_VECTORS = ("cnn_s", "cnn_l", "tetris_mlp")
_KINDS = {2: "linear", 3: "conv1d", 4: "conv2d", 5: "conv3d"}


@dataclass(frozen=True)
class Network:
    """What an importer found: the layout of the flat vector, and the entry of the catalogue where it is one.

    ``channels``, ``size`` and ``classes`` are of its images, as far as its tensors tell.
    """

    layout: Layout
    name: str | None
    channels: int
    size: int
    classes: int

    @property
    def num_parameters(self) -> int:
        """Length of the flat vector."""
        return num_parameters(self.layout)


def shapes_of(state: Mapping[str, torch.Tensor]) -> Shapes:
    """Names and shapes of the floating-point tensors; counters of BatchNorm and the like are left aside."""
    return tuple((name, tuple(tensor.shape)) for name, tensor in state.items() if tensor.is_floating_point())


def recognise(shapes: Shapes, *, by_names: bool = True) -> Network:
    """The network of the catalogue with these tensors, else one that is known by its tensors alone.

    The settings of a source are not asked: published ones disagree with the files in places. Where the names are others
    than here, the shapes must follow each other as here, and the names be the same but for their numbers, which a
    dropout layer shifts; with ``by_names=False`` shapes alone decide.

    Raises:
        InputError: there are no tensors.
    """
    if not shapes:
        raise InputError("a state holds no floating-point tensors: give files of trained networks.")
    channels, classes = _channels_and_classes(shapes)
    for name in NETWORKS:
        for size in _sizes(name, shapes):
            layout = _layout_of(name, channels, size, classes)
            if layout is not None and (_same_tensors(layout, shapes) or _same_order(layout, shapes, by_names)):
                return Network(layout, name, channels, size, classes)
    return Network(_inferred(shapes), None, channels, ANY_SIZE, classes)


def _channels_and_classes(shapes: Shapes) -> tuple[int, int]:
    """Inputs of the first convolution (else one channel), and outputs of the last dense layer."""
    convolutions = [shape for _, shape in shapes if len(shape) == 4]
    dense = [shape for _, shape in shapes if len(shape) == 2]
    last = dense[-1] if dense else shapes[-1][1]
    return (convolutions[0][1] if convolutions else 1), (last[0] if last else 1)


def _sizes(name: str, shapes: Shapes) -> Sequence[int]:
    record = NETWORKS[name]
    return record.sizes or (max(ANY_SIZE, record.min_size),)


def _layout_of(name: str, channels: int, size: int, classes: int) -> Layout | None:
    import torch

    try:
        with torch.device("meta"):
            return derive_layout(build_network(name, channels=channels, size=size, classes=classes, activation="relu"))
    except NetworkError:
        return None


def recognise_as(name: str, size: int, shapes: Shapes) -> Network | None:
    """The network of a name, for images of a size, if these are its tensors; None where they are not."""
    channels, classes = _channels_and_classes(shapes)
    layout = _layout_of(name, channels, size, classes)
    return (
        Network(layout, name, channels, size, classes) if layout is not None and _same_tensors(layout, shapes) else None
    )


def in_order(network: Network, shapes: Shapes) -> Shapes:
    """The tensors in the order of the layout, which a file may have in another one."""
    named = {slot.name: slot.shape for slot in network.layout}
    return tuple(named.items()) if dict(shapes) == named else shapes


def _same_tensors(layout: Layout, shapes: Shapes) -> bool:
    return dict(shapes) == {slot.name: slot.shape for slot in layout}


def _same_order(layout: Layout, shapes: Shapes, by_names: bool) -> bool:
    if [slot.shape for slot in layout] != [shape for _, shape in shapes]:
        return False
    return not by_names or [_numberless(slot.name) for slot in layout] == [_numberless(name) for name, _ in shapes]


def _numberless(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _inferred(shapes: Shapes) -> Layout:
    """A layout by names and shapes: what a module is, is told by the rank of its weight and by its other tensors."""
    modules: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for name, shape in shapes:
        owner, _, leaf = name.rpartition(".")
        modules[owner][leaf] = shape
    slots: list[TensorSlot] = []
    offset = 0
    for name, shape in shapes:
        owner, _, leaf = name.rpartition(".")
        role: Role = "buffer" if leaf.startswith("running_") else "bias" if leaf.endswith("bias") else "weight"
        slots.append(TensorSlot(name=name, kind=_kind(modules[owner]), role=role, shape=shape, offset=offset))
        offset += math.prod(shape)
    return tuple(slots)


def _kind(tensors: Mapping[str, tuple[int, ...]]) -> str:
    if "running_mean" in tensors:
        return "batchnorm2d"
    weight = tensors.get("weight")
    if weight is None:
        return "parameter"
    return _KINDS.get(len(weight), "norm")


def flat_vector(state: Mapping[str, torch.Tensor], shapes: Shapes, where: str) -> np.ndarray[Any, Any]:
    """The float32 vector ``[params]`` of a state with these tensors; tensors of 16 bits are widened exactly.

    Raises:
        InputError: a tensor is missing, has another shape, or holds numbers that float32 cannot.
    """
    import torch

    parts = []
    for name, shape in shapes:
        tensor = state.get(name)
        if tensor is None or tuple(tensor.shape) != shape:
            there = "no tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
            raise InputError(f"{where} has {there} where its first state has {name!r} {shape}: mend or remove it.")
        narrow = tensor.detach().to(torch.float32)
        if tensor.dtype is torch.float64 and not torch.equal(narrow.double().nan_to_num(), tensor.nan_to_num()):
            raise InputError(
                f"{name!r} of {where} is float64 and holds numbers that float32 cannot, and a zoo stores float32: "
                "convert the files first."
            )
        parts.append(narrow.reshape(-1))
    vector: np.ndarray[Any, Any] = torch.cat(parts).numpy()
    return vector


def recognise_vector(length: int) -> Network:
    """The network whose flat vectors the published files hold: kernels, then biases, layer by layer, as here.

    One that cannot be told from its length keeps its vector as one tensor.
    """
    candidates = {(channels, classes) for channels in (1, 3) for classes in (4, 10, 100)}
    for name in _PUBLISHED_VECTORS:
        for channels, classes in sorted(candidates):
            size = NETWORKS[name].sizes[0]  # type: ignore[index]
            layout = _layout_of(name, channels, size, classes)
            if layout is not None and num_parameters(layout) == length:
                return Network(layout, name, channels, size, classes)
    slot = TensorSlot(name="vector", kind="parameter", role="weight", shape=(length,), offset=0)
    return Network((slot,), None, 1, ANY_SIZE, 1)
