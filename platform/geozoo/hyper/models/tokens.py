"""Tokens: which weights of the flat vector a model sees together. Index arrays only, made once for a layout."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.nets.layout import num_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geozoo.hyper.models.options import TokenScheme
    from geozoo.nets.layout import Layout, TensorSlot

Index = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Layer:
    """The weights of one layer, a row for each output unit.

    ``index`` ``[units, fan_in + biases]`` tells where in the flat vector the incoming weights of a unit lie and, last,
    its bias if the layer has biases. For BatchNorm, scale and shift of a channel are one such row, its running mean and
    variance another one. ``name`` and ``kind`` are those of the first tensor.
    """

    name: str
    kind: str
    fan_in: int
    index: Index

    @property
    def units(self) -> int:
        """Number of rows."""
        return len(self.index)


def layers_of(layout: Layout) -> tuple[Layer, ...]:
    """Pair every weight tensor with its bias, and every running mean with its variance; each weight in one row."""
    slots = {slot.name: slot for slot in layout}
    paired = {partner.name for slot in layout if (partner := _partner(slot, slots))}
    return tuple(_layer(slot, _partner(slot, slots)) for slot in layout if slot.name not in paired)


def _partner(slot: TensorSlot, slots: Mapping[str, TensorSlot]) -> TensorSlot | None:
    for own, other in (("weight", "bias"), ("running_mean", "running_var")):
        if slot.name.endswith(own):
            partner = slots.get(slot.name.removesuffix(own) + other)
            return partner if partner is not None and partner.shape == slot.shape[:1] else None
    return None


def _layer(slot: TensorSlot, partner: TensorSlot | None) -> Layer:
    units = slot.shape[0] if slot.shape else 1
    columns = [np.arange(part.offset, part.offset + part.size).reshape(units, -1) for part in (slot, partner) if part]
    return Layer(name=slot.name, kind=slot.kind, fan_in=columns[0].shape[1], index=np.hstack(columns))


def neuron_tokens(layout: Layout) -> list[Index]:
    """One token ``[fan_in + 1]`` for each unit, one group ``[units, fan_in + 1]`` for each layer (2021, 2110.15288)."""
    return [layer.index for layer in layers_of(layout)]


def weight_tokens(layout: Layout) -> list[Index]:
    """One token for each scalar, in one group ``[params, 1]``."""
    return [np.arange(num_parameters(layout))[:, None]]


def neuron_in_out_tokens(layout: Layout) -> list[Index]:
    """One token for each unit: its incoming weights, its bias and all its outgoing weights (2022, 2209.14733).

    The outgoing weights of a unit are the columns of the next layer that read it: one column of a dense layer, one
    kernel of every filter of a convolution, a block of columns of a dense layer behind a flattened image. So a weight
    between two hidden layers is in two tokens, of the unit that it enters and of the unit that it leaves.

    Raises:
        InputError: the layout is not a chain of convolutions and dense layers.
    """
    layers = layers_of(layout)
    for layer in layers:
        if layer.kind not in ("conv2d", "linear"):
            raise InputError(
                f"tokens 'neuron_in_out' do not fit {layer.name!r} of kind {layer.kind!r}: the network has to be a "
                "chain of convolutions and dense layers; choose tokens 'neuron' or model 'sane'."
            )
    groups = [np.hstack([layer.index, _outgoing(layer, following)]) for layer, following in pairwise(layers)]
    return [*groups, layers[-1].index]


def _outgoing(layer: Layer, following: Layer) -> Index:
    """Where the weights that leave each unit lie: ``[units, weights]``."""
    if following.fan_in % layer.units:
        raise InputError(
            f"tokens 'neuron_in_out' do not fit {following.name!r} with {following.fan_in} inputs: these have to be "
            f"a multiple of the {layer.units} units before it; choose tokens 'neuron'."
        )
    columns = following.index[:, : following.fan_in].reshape(following.units, layer.units, -1)
    return columns.swapaxes(0, 1).reshape(layer.units, -1)


TOKEN_SCHEMES: dict[TokenScheme, Callable[[Layout], list[Index]]] = {
    "neuron": neuron_tokens,
    "weight": weight_tokens,
    "neuron_in_out": neuron_in_out_tokens,
}


@dataclass(frozen=True)
class TokenSequence:
    """A network as a sequence of equally long tokens (SANE, 2406.09997).

    ``index`` ``[tokens, token_size]``: where in the flat vector each entry lies, ``params`` where there is none
    (padding). ``positions`` ``[tokens, 3]``: place in the sequence, layer, and output channel in the layer.
    """

    index: Index
    positions: Index


def longest_row(layout: Layout) -> int:
    """The token size that leaves every row of a layout whole."""
    return max(layer.index.shape[1] for layer in layers_of(layout))


def token_sequence(layout: Layout, token_size: int) -> TokenSequence:
    """Cut the rows of all layers into chunks of ``token_size``, each row padded to whole chunks at its end."""
    params = num_parameters(layout)
    layers = layers_of(layout)
    chunks = [_chunks(layer.index, token_size, params) for layer in layers]
    numbers = np.repeat(np.arange(len(layers)), [len(chunk) for chunk in chunks])
    channels = [
        np.repeat(np.arange(layer.units), len(chunk) // layer.units)
        for layer, chunk in zip(layers, chunks, strict=True)
    ]
    positions = np.column_stack([np.arange(len(numbers)), numbers, np.concatenate(channels)])
    return TokenSequence(index=np.concatenate(chunks), positions=positions)


def _chunks(index: Index, token_size: int, padding: int) -> Index:
    missing = -index.shape[1] % token_size
    padded = np.pad(index, ((0, 0), (0, missing)), constant_values=padding)
    return padded.reshape(-1, token_size)


def places_of(index: Index, params: int) -> tuple[Index, Index]:
    """Where in a flat ``index`` each weight occurs first and last: two arrays ``[params]``; padding is left out.

    Raises:
        ValueError: a weight occurs nowhere.
    """
    order = np.arange(len(index))
    first, last = np.full(params + 1, -1), np.full(params + 1, -1)
    first[index[::-1]] = order[::-1]  # of equal indices, the last one assigned stays
    last[index] = order
    if (last[:params] < 0).any():
        raise ValueError(f"the tokens leave out some of the {params} weights")
    return first[:params], last[:params]
