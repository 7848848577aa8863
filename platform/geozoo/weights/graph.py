"""States as graphs of neurons, for graph metanetworks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from geozoo.nets import num_parameters

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.wiring import WiredLayer, Wiring

CONVOLUTION, DENSE, RESIDUAL = 0, 1, 2
"""Values of ``edge_type``."""

_NORM_OF_NONE = (1.0, 0.0, 0.0, 1.0)


class GraphBatch(NamedTuple):
    """A batch of ``n`` states as one graph of ``n`` parts, each of ``N`` nodes and ``E`` edges.

    Fields are named as in ``torch_geometric.data.Batch``: ``Batch(**graphs._asdict())`` is one.

    Attributes:
        x: node features ``[n * N, 1]``: the bias; ``[n * N, 5]`` if the network has BatchNorm: then its weight, bias,
            running mean and running variance follow. Where a node has none of these, it has their neutral values
            (0; 1, 0, 0, 1).
        edge_index: int64 ``[2, n * E]``, from input to output.
        edge_attr: edge features ``[n * E, height * width]``: the kernel of an (input, output) pair in row-major order,
            zero-padded on all sides to the largest kernel of the network; a dense layer's single weight and the 1 of a
            residual connection lie in the middle.
        node_layer: int64 ``[n * N]``: 0 for the input, ``i + 1`` for the output of layer ``i``.
        edge_layer: int64 ``[n * E]``: ``node_layer`` of the node it goes to.
        edge_type: int64 ``[n * E]``: ``CONVOLUTION``, ``DENSE`` or ``RESIDUAL``.
        batch: int64 ``[n * N]``: the state a node belongs to.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    node_layer: Tensor
    edge_layer: Tensor
    edge_type: Tensor
    batch: Tensor


def to_graph(weights: Tensor, wiring: Wiring) -> GraphBatch:
    """Turn states ``[n, params]`` into neural graphs; differentiable, on any device.

    Follows Kofinas et al. (2024, arXiv 2403.12143): one node for every input channel and every output of a layer, one
    edge for every pair that a kernel connects, and an edge of weight 1 for every channel of a residual connection.
    Deviations: the positions of a flattened map are the entries of one edge, as if the dense layer were a convolution
    over the whole map, instead of repeated nodes; BatchNorm is features of the node it scales. Nodes of the same hidden
    layer are interchangeable: permuting a network's hidden units renumbers nodes and changes nothing else. Input and
    output nodes can be told apart by their place alone, so give them an encoding.

    Covered is what :func:`geozoo.weights.wiring.wiring_of` can wire: convolutional and dense networks, with BatchNorm
    and residual connections where the network has them. Activations are not in the graph.
    """
    plan = _plan_of(wiring)
    values = torch.cat([weights, weights.new_tensor([[0.0, 1.0]]).expand(len(weights), 2)], dim=1)
    device, count = weights.device, len(weights)
    nodes, edges = len(plan.node_layer), len(plan.edge_layer)
    shift = torch.arange(count, device=device)

    def repeated(of_one: Tensor) -> Tensor:
        return of_one.to(device).repeat(count)

    return GraphBatch(
        x=values[:, plan.node_source.to(device)].view(count * nodes, -1),
        edge_index=plan.edge_index.to(device).repeat(1, count) + nodes * shift.repeat_interleave(edges),
        edge_attr=values[:, plan.edge_source.to(device)].view(count * edges, -1),
        node_layer=repeated(plan.node_layer),
        edge_layer=repeated(plan.edge_layer),
        edge_type=repeated(plan.edge_type),
        batch=shift.repeat_interleave(nodes),
    )


def from_graph(graphs: GraphBatch, wiring: Wiring) -> Tensor:
    """The inverse of :func:`to_graph`: states ``[n, params]`` from the features of nodes and edges."""
    plan = _plan_of(wiring)
    count = len(graphs.x) // len(plan.node_layer)
    features = torch.cat([graphs.x.reshape(count, -1), graphs.edge_attr.reshape(count, -1)], dim=1)
    return features[:, plan.place.to(features.device)]


@dataclass(frozen=True)
class _Plan:
    """The graph of one state, and where its features lie in the flat vector followed by a 0 and a 1.

    ``place`` is the other way round: for every parameter its place among all node features, then all edge features.
    """

    node_layer: Tensor
    edge_index: Tensor
    edge_layer: Tensor
    edge_type: Tensor
    node_source: Tensor
    edge_source: Tensor
    place: Tensor


@lru_cache(maxsize=8)
def _plan_of(wiring: Wiring) -> _Plan:
    params = num_parameters(wiring.layout)
    sizes = [wiring.layers[0].inputs, *(layer.outputs for layer in wiring.layers)]
    starts = np.cumsum([0, *sizes])
    node_source = _node_sources(wiring, sizes, zero=params, one=params + 1)
    pieces = [
        *(_layer_edges(layer, number + 1, wiring, starts) for number, layer in enumerate(wiring.layers)),
        *(_skip_edges(skip, sizes, wiring, starts) for skip in wiring.skips),
    ]
    edge_source = np.concatenate([piece.source for piece in pieces])
    sources = np.concatenate([node_source.ravel(), edge_source.ravel()])
    real = np.flatnonzero(sources < params)
    place = np.empty(params, dtype=np.int64)
    place[sources[real]] = real
    return _Plan(
        node_layer=torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)),
        edge_index=torch.from_numpy(np.concatenate([piece.index for piece in pieces], axis=1)),
        edge_layer=torch.from_numpy(np.concatenate([np.full(len(piece.source), piece.layer) for piece in pieces])),
        edge_type=torch.from_numpy(np.concatenate([np.full(len(piece.source), piece.type) for piece in pieces])),
        node_source=torch.from_numpy(node_source.ravel()),
        edge_source=torch.from_numpy(edge_source.ravel()),
        place=torch.from_numpy(place),
    )


@dataclass(frozen=True)
class _Edges:
    index: np.ndarray
    source: np.ndarray
    layer: int
    type: int


def _node_sources(wiring: Wiring, sizes: list[int], zero: int, one: int) -> np.ndarray:
    """Places of node features ``[nodes, features]``."""
    neutral = [one if value else zero for value in (0.0, *_NORM_OF_NONE)]
    with_norm = any(layer.norm for layer in wiring.layers)
    blocks = [np.tile(neutral, (size, 1)) for size in sizes]
    for layer, block in zip(wiring.layers, blocks[1:], strict=True):
        for column, slot in enumerate((layer.bias, *layer.norm)):
            if slot is not None:
                block[:, column] = np.arange(slot.offset, slot.offset + slot.size)
    return np.concatenate(blocks)[:, : 5 if with_norm else 1]


def _layer_edges(layer: WiredLayer, group: int, wiring: Wiring, starts: np.ndarray) -> _Edges:
    """Every output of a layer with every input, outputs first."""
    height, width = layer.kernel or (1, 1)
    weights = np.arange(layer.weight.offset, layer.weight.offset + layer.weight.size)
    kernels = weights.reshape(layer.outputs * layer.inputs, height, width)
    outputs, inputs = np.divmod(np.arange(len(kernels)), layer.inputs)
    return _Edges(
        index=np.stack([inputs + starts[layer.reads], outputs + starts[group]]),
        source=_padded(kernels, wiring),
        layer=group,
        type=CONVOLUTION if layer.is_convolution else DENSE,
    )


def _skip_edges(skip: tuple[int, int], sizes: list[int], wiring: Wiring, starts: np.ndarray) -> _Edges:
    """Every channel with itself."""
    come, go = skip
    channels = np.arange(sizes[go])
    ones = np.full((len(channels), 1, 1), num_parameters(wiring.layout) + 1)
    return _Edges(np.stack([channels + starts[come], channels + starts[go]]), _padded(ones, wiring), go, RESIDUAL)


def _padded(kernels: np.ndarray, wiring: Wiring) -> np.ndarray:
    """Kernels ``[edges, height, width]`` in the middle of the largest one, ``[edges, scalars]``."""
    largest = [max((layer.kernel or (1, 1))[axis] for layer in wiring.layers) for axis in (0, 1)]
    spare = [whole - size for whole, size in zip(largest, kernels.shape[1:], strict=True)]
    around = [(0, 0), *((left // 2, left - left // 2) for left in spare)]
    padded: np.ndarray = np.pad(kernels, around, constant_values=num_parameters(wiring.layout))
    return padded.reshape(len(kernels), -1)
