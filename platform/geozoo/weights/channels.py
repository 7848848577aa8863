"""What each operation of a network does to its channels: the rules that a trace is followed by.

Every axis of a tensor that counts channels is a node of a union-find structure; a rule joins the axes whose entries are
the same channels.
"""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from geozoo.errors import NetworkError
from geozoo.nets import ACTIVATIONS
from geozoo.weights.groups import Axis, Group

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from geozoo.nets.layout import Layout

    Node = tuple[int, int]
    Rule = Callable[["ChannelGraph", "Operation"], "Channels | None"]

FIXED: Node = (-1, 0)
"""The node of all channels that never move; the others are a tensor's number in the layout and an axis."""


@dataclass(frozen=True)
class Channels:
    """A value of ``shape`` ``[batch, channels, ...]``; along axis 1 each channel of ``node`` has ``block`` entries."""

    node: Node
    block: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One step of a network: what goes in, the shape of what comes out, and the layer, if it is one, by its name."""

    inputs: Sequence[Channels]
    shape: tuple[int, ...]
    name: str
    layer: nn.Module | None


class ChannelGraph:
    """The axes met so far and which of them are joined."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._slots = {slot.name: number for number, slot in enumerate(layout)}
        self._parents: dict[Node, Node] = {}
        self._blocks: dict[Node, int] = {}

    def root(self, node: Node) -> Node:
        """The representative of a node: the smallest of those joined with it."""
        while (parent := self._parents.get(node, node)) != node:
            node = parent
        return node

    def join(self, one: Node, other: Node) -> None:
        """Say that two axes count the same channels."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parents[second] = first

    def axis(self, tensor: str, axis: int, block: int = 1) -> Node:
        """The node of a tensor's axis whose channels own ``block`` entries each."""
        node = self._slots[tensor], axis
        if self._blocks.setdefault(node, block) != block:
            raise NetworkError(
                f"tensor {tensor!r} reads maps of {self._blocks[node]} and of {block} positions, so that its channels"
                " cannot be told apart: give each use a layer of its own."
            )
        return node

    def join_vectors(self, layer: str, names: Sequence[str], channels: Node, block: int = 1) -> None:
        """Join the tensors with one number for each channel that a layer has."""
        for name in names:
            if f"{layer}.{name}" in self._slots:
                self.join(self.axis(f"{layer}.{name}", 0, block), channels)

    def groups(self) -> tuple[Group, ...]:
        """The joined axes that are not fixed, in the order of their first tensors."""
        joined: dict[Node, list[Axis]] = defaultdict(list)
        for node in sorted(self._blocks):
            joined[self.root(node)].append(Axis(*node, self._blocks[node]))
        return tuple(self._group(axes) for root, axes in joined.items() if root != FIXED)

    def _group(self, axes: Sequence[Axis]) -> Group:
        first = self.layout[axes[0].slot]
        return Group(first.name, first.shape[axes[0].axis] // axes[0].block, tuple(axes))


def _same_channels(graph: ChannelGraph, step: Operation) -> Channels | None:
    """Activations, pooling, dropout: every channel on its own."""
    (x,) = step.inputs
    return Channels(x.node, x.block, step.shape) if step.shape[:2] == x.shape[:2] else None


def _convolution(graph: ChannelGraph, step: Operation) -> Channels | None:
    (x,) = step.inputs
    if getattr(step.layer, "groups", 1) != 1:
        return None
    return _weighted(graph, step, x)


def _dense(graph: ChannelGraph, step: Operation) -> Channels | None:
    (x,) = step.inputs
    return _weighted(graph, step, x) if len(x.shape) == 2 else None


def _weighted(graph: ChannelGraph, step: Operation, x: Channels) -> Channels:
    graph.join(graph.axis(f"{step.name}.weight", 1, x.block), x.node)
    outputs = graph.axis(f"{step.name}.weight", 0)
    graph.join_vectors(step.name, ["bias"], outputs)
    return Channels(outputs, 1, step.shape)


def _batch_norm(graph: ChannelGraph, step: Operation) -> Channels:
    (x,) = step.inputs
    graph.join_vectors(step.name, ["weight", "bias", "running_mean", "running_var"], x.node, x.block)
    return Channels(x.node, x.block, step.shape)


def _flatten(graph: ChannelGraph, step: Operation) -> Channels | None:
    (x,) = step.inputs
    if step.shape != (x.shape[0], math.prod(x.shape[1:])):
        return None
    return Channels(x.node, x.block * math.prod(x.shape[2:]), step.shape)


def _add(graph: ChannelGraph, step: Operation) -> Channels | None:
    """A sum of values of one shape, such as a residual connection; adding a number changes no channel."""
    first, *others = step.inputs
    for other in others:
        fixed = FIXED in (graph.root(first.node), graph.root(other.node))
        if other.shape != first.shape or (other.block != first.block and not fixed):
            return None
        graph.join(first.node, other.node)
    return Channels(first.node, first.block, step.shape)


def _images(graph: ChannelGraph, step: Operation) -> Channels:
    return Channels(FIXED, 1, step.shape)


def _logits(graph: ChannelGraph, step: Operation) -> Channels | None:
    if len(step.inputs) != 1:
        return None
    (x,) = step.inputs
    graph.join(x.node, FIXED)
    return x


ENDS: dict[str, Rule] = {"placeholder": _images, "output": _logits}
"""Kind of node at either end of a network -> its rule."""

LAYERS: dict[str, Rule] = {
    "Conv2d": _convolution,
    "Linear": _dense,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "Flatten": _flatten,
    **dict.fromkeys(["MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"], _same_channels),
    **dict.fromkeys(["Identity", "Dropout", "Dropout2d", "StreamDropout"], _same_channels),
    **dict.fromkeys(ACTIVATIONS.values(), _same_channels),
}
"""Class of a layer without layers inside -> its rule, which returns ``None`` where it does not hold."""

FUNCTIONS: dict[Any, Rule] = {
    **dict.fromkeys([operator.add, operator.iadd, torch.add], _add),
    **dict.fromkeys([torch.flatten, "flatten"], _flatten),
    **dict.fromkeys([torch.relu, torch.sigmoid, torch.tanh, F.relu, F.gelu, F.silu, F.leaky_relu], _same_channels),
}
"""Function, or name of a method of a tensor -> its rule."""
