"""The layer layout: where each tensor of a network lies in the flat vector of its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor, nn

Role = Literal["weight", "bias", "buffer"]


class TensorSlot(BaseModel):
    """One tensor of a network and its place in the flat vector.

    ``name`` is the key in the ``state_dict``; ``kind`` the lower-case class of the module that owns it (``conv2d``,
    ``linear``); ``role`` tells weights and biases from floating-point buffers (running statistics); the tensor occupies
    ``[offset, offset + size)`` in row-major order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    role: Role
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)

    @property
    def span(self) -> slice:
        """The slice of the flat vector."""
        return slice(self.offset, self.offset + self.size)


Layout = tuple[TensorSlot, ...]


def derive_layout(module: nn.Module) -> Layout:
    """Read the layout off a module: its floating-point ``state_dict`` entries in ``state_dict`` order.

    Deriving it from the module, never from a configuration, is what keeps offsets right when a dropout layer shifts the
    indices of the published networks. Integer buffers (BatchNorm's batch counter) are not part of the flat vector.
    """
    parameters = dict(module.named_parameters())
    slots: list[TensorSlot] = []
    offset = 0
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        owner, _, leaf = name.rpartition(".")
        role: Role = "buffer" if name not in parameters else "bias" if leaf.endswith("bias") else "weight"
        kind = type(module.get_submodule(owner)).__name__.lower()
        slots.append(TensorSlot(name=name, kind=kind, role=role, shape=tuple(tensor.shape), offset=offset))
        offset += slots[-1].size
    return tuple(slots)


def num_parameters(layout: Layout) -> int:
    """Length of the flat vector."""
    return layout[-1].offset + layout[-1].size if layout else 0


def flatten(state: dict[str, Tensor], layout: Layout) -> Tensor:
    """Concatenate the tensors of ``state`` into a flat vector ``[params]``."""
    import torch

    return torch.cat([state[slot.name].detach().reshape(-1) for slot in layout])


def load_flat(module: nn.Module, vector: Tensor, layout: Layout) -> None:
    """Set a module's tensors from its flat vector ``[params]``, in their own dtype; integer buffers stay."""
    state = module.state_dict()
    for name, tensor in unflatten(vector, layout).items():
        state[name].copy_(tensor)


def unflatten(vector: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Cut flat vectors ``[..., params]`` into views ``[..., *shape]`` by tensor name."""
    import torch

    parts = torch.split(vector, [slot.size for slot in layout], dim=-1)
    return {slot.name: part.unflatten(-1, slot.shape) for slot, part in zip(layout, parts, strict=True)}
