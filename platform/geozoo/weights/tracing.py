"""Finding the groups of a network by following its channels through a symbolic trace."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from geozoo.errors import NetworkError
from geozoo.nets.layout import derive_layout
from geozoo.weights.channels import ENDS, FUNCTIONS, LAYERS, ChannelGraph, Channels, Operation

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.channels import Rule
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
        self.extra_traceback = False
        self.channels = ChannelGraph(derive_layout(module))
        self.values: dict[fx.Node, Channels] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, as `torch.fx.Interpreter` does, and follow the channels through it."""
        inputs = [self.values[one] for one in n.all_input_nodes]
        rule, what = self._rule_of(n)
        if rule is None:
            raise _unknown(what)
        result: Tensor = super().run_node(n)
        name = str(n.target)
        layer = self.module.get_submodule(name) if n.op == "call_module" else None
        found = rule(self.channels, Operation(inputs, tuple(getattr(result, "shape", ())), name, layer))
        if found is None:
            raise _unknown(what)
        self.values[n] = found
        return result

    def _rule_of(self, node: fx.Node) -> tuple[Rule | None, str]:
        """The rule of a node, and what to call the node."""
        if node.op in ENDS:
            return ENDS[node.op], node.op
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            return LAYERS.get(type(layer).__name__), f"layer {node.target} = {layer}"
        rule = FUNCTIONS.get(node.target) if node.all_input_nodes else None
        return rule, f"operation {node.name} = {node.target}"


def _unknown(what: str) -> NetworkError:
    return NetworkError(
        f"the permutation symmetry of {what} is not known: use the layers and functions that"
        " geozoo.weights.channels lists."
    )
