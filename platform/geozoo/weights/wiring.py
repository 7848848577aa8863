"""The wiring of a network: which layer reads from which, and where its tensors lie in the flat vector."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from geozoo.errors import NetworkError
from geozoo.nets import build_network, derive_layout

if TYPE_CHECKING:
    from torch import fx, nn

    from geozoo.nets import Layout, TensorSlot


@dataclass(frozen=True)
class WiredLayer:
    """One convolution or dense layer, with the BatchNorm that follows it.

    ``reads`` numbers the group of channels it reads: 0 the network's input, ``i + 1`` the output of layer ``i``.
    ``kernel`` is a convolution's ``(height, width)``; for a dense layer after a flatten it is the size of the flattened
    map, whose positions share one input channel, and ``()`` for any other dense layer. ``weight`` has ``outputs x
    inputs x kernel`` scalars in that order. ``norm`` holds BatchNorm's weight, bias, running mean and running variance.
    """

    weight: TensorSlot
    bias: TensorSlot | None
    norm: tuple[TensorSlot, ...]
    reads: int
    inputs: int
    outputs: int
    kernel: tuple[int, ...]

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution, else a dense layer."""
        return self.weight.kind.startswith("conv")


@dataclass(frozen=True)
class Wiring:
    """All layers in the order of computation.

    ``skips`` are residual connections ``(from group, to group)``: the values of the one are added to those of the
    other, the later of the two, which holds the sum.
    """

    layout: Layout
    layers: tuple[WiredLayer, ...]
    skips: tuple[tuple[int, int], ...]

    @property
    def is_plain(self) -> bool:
        """Whether every layer reads from the one before and there is nothing else."""
        in_line = all(layer.reads == number for number, layer in enumerate(self.layers))
        return in_line and not self.skips and not any(layer.norm for layer in self.layers)


@cache
def network_wiring(name: str, *, channels: int, size: int, classes: int) -> Wiring:
    """The wiring of a network of the catalogue for images ``[channels, size, size]``; activations do not matter.

    Raises:
        NetworkError: there is no such network, or it cannot be wired.
    """
    module = build_network(name, channels=channels, size=size, classes=classes, activation="relu")
    return wiring_of(module, (channels, size, size))


def wiring_of(module: nn.Module, image_shape: tuple[int, int, int]) -> Wiring:
    """Trace a network for images ``[channels, height, width]``.

    Covered: 2-D convolutions without groups, dense layers, BatchNorm right after one of them, flattening, sums of two
    values (residual connections), and whatever has no weights and keeps channels apart (activations, pooling, dropout).
    An image that is flattened before any convolution has a channel for every pixel.

    Raises:
        NetworkError: the network does something else.
    """
    import torch
    from torch import fx
    from torch.fx.passes.shape_prop import ShapeProp

    traced = fx.symbolic_trace(copy.deepcopy(module).float().eval())
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, *image_shape))
    walk = _Walk(derive_layout(module), dict(traced.named_modules()))
    for node in traced.graph.nodes:
        walk.step(node)
    return walk.wiring()


@dataclass(frozen=True)
class _Value:
    """What a node of the trace holds: the channels of a group, each with a block of positions after flattening."""

    group: int
    block: tuple[int, ...] = ()


class _Walk:
    """One pass over a trace."""

    def __init__(self, layout: Layout, modules: dict[str, nn.Module]) -> None:
        self._layout, self._modules = layout, modules
        self._slots = {slot.name: slot for slot in layout}
        self._layers: list[WiredLayer] = []
        self._skips: list[tuple[int, int]] = []
        self._values: dict[fx.Node, _Value] = {}

    def step(self, node: fx.Node) -> None:
        """Follow one node."""
        if node.op == "placeholder":
            self._values[node] = _Value(0)
        elif node.op == "call_module":
            self._values[node] = self._module(node, str(node.target))
        elif node.op == "call_function":
            self._values[node] = self._function(node)
        elif node.op != "output":
            raise _unknown(node)

    def wiring(self) -> Wiring:
        """What was found; every tensor of the layout has its place in it."""
        if unread := {name for name in self._slots if name not in self._placed()}:
            raise NetworkError(
                f"tensor {min(unread)!r} cannot be wired: only 2-D convolutions, dense layers and the BatchNorm after "
                "them are known; use the flat weights of this network."
            )
        return Wiring(self._layout, tuple(self._layers), tuple(self._skips))

    def _placed(self) -> set[str]:
        tensors = [(layer.weight, layer.bias, *layer.norm) for layer in self._layers]
        return {slot.name for layer in tensors for slot in layer if slot is not None}

    def _module(self, node: fx.Node, name: str) -> _Value:
        from torch import nn

        module, value = self._modules[name], self._values[node.all_input_nodes[0]]
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            return self._layer(name, value, module.in_channels, module.out_channels, module.kernel_size)
        if isinstance(module, nn.Linear):
            channels = module.in_features // (value.block[0] * value.block[1] if value.block else 1)
            return self._layer(name, value, channels, module.out_features, value.block)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            return self._norm(node, name, value)
        if isinstance(module, nn.Flatten):
            return self._flattened(node, value)
        if module.state_dict():
            raise _unknown(node)
        return self._unchanged(node, value)

    def _function(self, node: fx.Node) -> _Value:
        import torch

        inputs = [self._values[source] for source in node.all_input_nodes]
        if node.target is torch.flatten:
            return self._flattened(node, inputs[0])
        if node.target in (operator.add, operator.iadd, torch.add) and len(inputs) == 2:
            first, second = sorted(inputs, key=lambda value: value.group)
            self._skips.append((first.group, second.group))
            return second
        if len(inputs) != 1:
            raise _unknown(node)
        return self._unchanged(node, inputs[0])

    def _layer(self, name: str, value: _Value, inputs: int, outputs: int, kernel: tuple[int, ...]) -> _Value:
        self._layers.append(
            WiredLayer(
                weight=self._slots[f"{name}.weight"],
                bias=self._slots.get(f"{name}.bias"),
                norm=(),
                reads=value.group,
                inputs=inputs,
                outputs=outputs,
                kernel=tuple(kernel),
            )
        )
        return _Value(len(self._layers))

    def _norm(self, node: fx.Node, name: str, value: _Value) -> _Value:
        leaves = ("weight", "bias", "running_mean", "running_var")
        slots = tuple(self._slots[f"{name}.{leaf}"] for leaf in leaves if f"{name}.{leaf}" in self._slots)
        before = node.all_input_nodes[0]
        if len(slots) != 4 or before.op != "call_module" or value.group != len(self._layers):
            raise _unknown(node)
        layer = self._layers[-1]
        if f"{before.target}.weight" != layer.weight.name:
            raise _unknown(node)
        self._layers[-1] = WiredLayer(**(vars(layer) | {"norm": slots}))
        return value

    def _flattened(self, node: fx.Node, value: _Value) -> _Value:
        shape = _shape(node.all_input_nodes[0])
        if len(shape) != 4 or value.group == 0 or shape[2:] == (1, 1):
            return _Value(value.group)
        return _Value(value.group, shape[2:])

    def _unchanged(self, node: fx.Node, value: _Value) -> _Value:
        if _shape(node)[1:2] != _shape(node.all_input_nodes[0])[1:2]:
            raise _unknown(node)
        return value


def _shape(node: fx.Node) -> tuple[int, ...]:
    meta: Any = node.meta["tensor_meta"]
    return tuple(meta.shape)


def _unknown(node: fx.Node) -> NetworkError:
    return NetworkError(
        f"step {str(node.target)!r} of the network cannot be wired: known are 2-D convolutions without groups, dense "
        "layers, BatchNorm right after them, flattening, sums, and what has no weights; use the flat weights."
    )
