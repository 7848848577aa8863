"""Many networks called at once: logits of members on shared images, differentiable in their weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from geozoo.errors import InputError
from geozoo.nets import ACTIVATIONS, build_network, derive_layout, num_parameters, unflatten
from geozoo.population.dropout import StreamDropout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geozoo.store import Zoo

    Activations = Sequence[str] | Sequence[int] | np.ndarray | Tensor
    Call = Callable[[Tensor, Tensor], Tensor]

ACTIVATION_NAMES = tuple(sorted(ACTIVATIONS))
"""The code of an activation is its place here."""


def activation_codes(activations: Activations) -> Tensor:
    """Codes int64 ``[n]`` of activations that are given by name, or as codes already.

    Raises:
        InputError: there is no such activation.
    """
    given: list[Any] = activations.tolist() if isinstance(activations, np.ndarray | Tensor) else list(activations)
    codes = {one: code for code, name in enumerate(ACTIVATION_NAMES) for one in (code, name)}
    for one in given:
        if one not in codes:
            raise InputError(f"there is no activation {one!r}: choose one of {', '.join(ACTIVATION_NAMES)}.")
    return torch.tensor([codes[one] for one in given], dtype=torch.int64)


@dataclass(frozen=True)
class Networks:
    """The networks of one name for images ``[channels, size, size]``, in evaluation mode.

    On a CPU plain stacks run in the compiled code of the lanes engine, elsewhere under `torch.vmap`. Networks with
    running statistics, or with layers that engine does not have, run one by one.
    """

    name: str
    channels: int
    size: int
    classes: int

    @classmethod
    def of(cls, zoo: Zoo) -> Self:
        """The networks of a zoo."""
        return cls(**zoo.header.network)

    def logits(self, weights: Tensor, activations: Activations, images: Tensor) -> Tensor:
        """What every member answers to every image: ``[n, q, classes]``.

        Differentiable in ``weights``, once where compiled code runs; images and running statistics carry no gradient.

        Args:
            weights: ``[n, params]`` in the layout of the network.
            activations: of each member, by name or by code.
            images: ``[q, channels, size, size]``, normalised, of the weights' dtype and device.

        Raises:
            InputError: shapes, dtypes or devices that do not fit, or an unknown activation.
        """
        codes = activation_codes(activations)
        self._check(weights, codes, images)
        present = codes.unique().tolist()
        if len(present) < 2:
            name = ACTIVATION_NAMES[present[0] if present else 0]
            return _caller(self, name, weights.device.type, weights.dtype)(weights, images)
        rows = [(codes == code).nonzero().flatten().to(weights.device) for code in present]
        calls = [_caller(self, ACTIVATION_NAMES[code], weights.device.type, weights.dtype) for code in present]
        parts = [call(weights[own], images) for call, own in zip(calls, rows, strict=True)]
        return torch.cat(parts)[torch.cat(rows).argsort()]

    def _check(self, weights: Tensor, codes: Tensor, images: Tensor) -> None:
        expected = _num_parameters(self)
        if weights.shape != (len(codes), expected):
            raise InputError(
                f"weights of shape {list(weights.shape)} do not fit {len(codes)} activations of {self.name}: "
                f"pass [{len(codes)}, {expected}]."
            )
        shape = (self.channels, self.size, self.size)
        if images.shape[1:] != shape or (images.dtype, images.device) != (weights.dtype, weights.device):
            raise InputError(
                f"images {list(images.shape)} of {images.dtype} on {images.device} do not fit the members: "
                f"pass [q, {', '.join(map(str, shape))}] of {weights.dtype} on {weights.device}."
            )


@cache
def _num_parameters(networks: Networks) -> int:
    return num_parameters(derive_layout(_build(networks, ACTIVATION_NAMES[0])))


def _build(networks: Networks, activation: str) -> torch.nn.Module:
    return build_network(
        networks.name,
        channels=networks.channels,
        size=networks.size,
        classes=networks.classes,
        activation=activation,
        make_dropout=StreamDropout,
    ).eval()


@cache
def _caller(networks: Networks, activation: str, device: str, dtype: torch.dtype) -> Call:
    """How the networks of one activation are called with weights ``[n, params]`` and images."""
    module = _build(networks, activation)
    layout = derive_layout(module)

    buffers = {slot.name for slot in layout if slot.role == "buffer"}

    def one(row: Tensor, images: Tensor) -> Tensor:
        tensors = unflatten(row, layout).items()
        state = {name: tensor.detach() if name in buffers else tensor for name, tensor in tensors}
        logits: Tensor = functional_call(module, state, (images,))
        return logits

    def one_by_one(weights: Tensor, images: Tensor) -> Tensor:
        if not len(weights):
            return weights.new_zeros(0, len(images), networks.classes)
        return torch.stack([one(row, images) for row in weights])

    if buffers:
        return one_by_one
    if device != "cpu" or dtype not in (torch.float32, torch.float64):
        return lambda weights, images: vmap(one, in_dims=(0, None))(weights, images)
    from geozoo.population.lanes.differentiable import PlainStack

    try:
        return PlainStack.of(module, networks.channels, networks.size)
    except InputError:
        return one_by_one
