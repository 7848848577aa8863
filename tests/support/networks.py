"""Networks for weight-space tests: those of the catalogue, built cheaply, and small ones with oddities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from geozoo.nets import build_network, derive_layout, load_flat, num_parameters, unflatten

if TYPE_CHECKING:
    from geozoo.nets import Layout

CATALOGUE: dict[str, dict[str, Any]] = {
    "cnn_s": {"channels": 1, "size": 28, "classes": 10},
    "cnn_l": {"channels": 3, "size": 32, "classes": 10},
    "unterthiner": {"channels": 1, "size": 28, "classes": 10},
    "tetris_mlp": {"channels": 1, "size": 4, "classes": 4},
    "resnet18": {"channels": 3, "size": 16, "classes": 10},
}
"""Name -> the smallest images each network of the catalogue is tested with."""


def hollow_network(name: str, activation: str = "relu") -> nn.Module:
    """A network of the catalogue in float64 whose weights are not initialised."""
    with torch.device("meta"):
        module = build_network(name, activation=activation, **CATALOGUE[name])
    return module.double().to_empty(device="cpu")


def small_resnet(width: int = 6) -> nn.Module:
    """ResNet blocks on few channels for images ``[n, 2, 8, 8]``: two on one stream, one that halves and widens."""
    shorter = nn.Sequential(nn.Conv2d(width, width + 2, 1, stride=2, bias=False), nn.BatchNorm2d(width + 2))
    return nn.Sequential(
        nn.Conv2d(2, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        BasicBlock(width, width),
        BasicBlock(width, width),
        BasicBlock(width, width + 2, stride=2, downsample=shorter),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width + 2, 5),
    ).double()


class FunctionalNet(nn.Module):
    """Two layers called through functions and methods, one kernel used twice on a stream; images ``[n, 2, 6, 6]``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 5, 3)
        self.again = nn.Conv2d(5, 5, 3, padding=1)
        self.flat_norm = nn.BatchNorm1d(5 * 16)
        self.hidden = nn.Linear(5 * 16, 7)
        self.norm = nn.BatchNorm1d(7)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Linear(7, 4)
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        x = torch.tanh(self.stem(images))
        x = torch.add(x, self.again(x))
        x = x + F.relu(self.again(x)) + 1.0
        x = self.flat_norm(x.flatten(1))
        return self.head(F.gelu(self.norm(self.hidden(x))))


def random_state(layout: Layout, generator: torch.Generator) -> Tensor:
    """A state ``[params]``, float64: standard normal over the root of the fan-in; every variance is positive."""
    state = torch.randn(num_parameters(layout), dtype=torch.float64, generator=generator)
    for slot in layout:
        if slot.name.endswith("running_var"):
            state[slot.span] = 0.5 + state[slot.span].abs()
        elif slot.role == "weight" and len(slot.shape) > 1:
            state[slot.span] *= (slot.shape[0] / slot.size) ** 0.5
    return state


def logits_of(module: nn.Module, state: Tensor, images: Tensor) -> Tensor:
    """What a network with these flat weights answers in evaluation mode."""
    load_flat(module, state, derive_layout(module))
    with torch.no_grad():
        outputs: Tensor = module.eval()(images)
    return outputs


def tensors_of(state: Tensor, layout: Layout) -> dict[str, Tensor]:
    """The tensors of a flat state by name, copied."""
    return {name: tensor.clone() for name, tensor in unflatten(state, layout).items()}
