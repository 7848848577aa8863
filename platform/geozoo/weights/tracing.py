"""Finding the groups of a network by following its channels through a symbolic trace."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from geozoo.errors import NetworkError
from geozoo.nets.layout import derive_layout
from geozoo.weights.channels import FIXED, FUNCTIONS, LAYERS, ChannelGraph, Channels, Operation

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.groups import Group


def trace_groups(module: nn.Module, image_shape: tuple[int, int, int]) -> tuple[Group, ...]:
    """The groups of a network for images ``[n, *image_shape]``: see `geozoo.weights.symmetry.symmetry_of`.

    The network runs once on a meta tensor, without arithmetic; it is not changed.
    """
    shadow = copy.deepcopy(module).to("meta").eval()
    follower = _Follower(shadow)
    image = torch.empty((1, *image_shape), device="meta", dtype=next(shadow.parameters(), torch.empty(0)).dtype)
    try:
        with torch.no_grad():
            follower.run(image)
    except NetworkError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise NetworkError(
            f"network {type(module).__name__} cannot be run on images of shape {list(image_shape)} ({reason}): give"
            " the shape [channels, height, width] of the images it is made for."
        ) from error
    return follower.channels.groups()


class _LayerTracer(fx.Tracer):
    """Looks into every module that has layers inside."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None


def _trace(module: nn.Module) -> fx.GraphModule:
    try:
        return fx.GraphModule(module, _LayerTracer().trace(module))
    except (fx.proxy.TraceError, TypeError) as error:
        raise NetworkError(
            f"network {type(module).__name__} cannot be traced ({error}): its forward must not branch on its input."
        ) from error


class _Follower(fx.Interpreter):
    """Runs a traced network node by node and joins the channels that each operation joins."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(_trace(module))
        self.channels = ChannelGraph(derive_layout(module))
        self.values: dict[fx.Node, Channels] = {}

    def run_node(self, n: fx.Node) -> Any:
        result: Tensor = super().run_node(n)
        if n.op == "output":
            for value in n.all_input_nodes:
                self.channels.join(self.values[value].node, FIXED)
        elif n.op == "placeholder":
            self.values[n] = Channels(FIXED, 1, tuple(result.shape))
        else:
            self.values[n] = self._follow(n, tuple(getattr(result, "shape", ())))
        return result

    def _follow(self, node: fx.Node, shape: tuple[int, ...]) -> Channels:
        inputs = [self.values[one] for one in node.all_input_nodes]
        if node.op == "call_module":
            name = str(node.target)
            layer = self.module.get_submodule(name)
            rule, what = LAYERS.get(type(layer).__name__), f"layer {name} = {layer}"
            step = Operation(inputs, shape, name, layer)
        else:
            rule, what = FUNCTIONS.get(node.target), f"operation {node.name} = {node.target}"
            step = Operation(inputs, shape)
        found = rule(self.channels, step) if rule is not None and inputs else None
        if found is None:
            raise NetworkError(
                f"the permutation symmetry of {what} is not known: use the layers and functions that"
                " geozoo.weights.channels lists."
            )
        return found
