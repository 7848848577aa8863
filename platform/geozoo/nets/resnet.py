"""Residual networks in the form they have for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.nets.activations import make_activation
from geozoo.nets.registry import NetworkRecord, NetworkShape, register_network

if TYPE_CHECKING:
    from torch import nn

    from geozoo.nets.registry import DropoutFactory


def _build_resnet18(shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    """torchvision's, with its names; a 3x3 convolution of stride 1 and no pooling at the start, as published."""
    from torch import nn
    from torchvision.models import resnet18

    module: nn.Module = resnet18(num_classes=shape.classes)
    module.conv1 = nn.Conv2d(shape.channels, 64, 3, padding=1, bias=False)
    module.maxpool = nn.Identity()
    module.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), make_dropout(0))
    for part in list(module.modules()):
        if hasattr(part, "relu"):
            part.relu = make_activation(shape.activation)
    return module


register_network(
    NetworkRecord(
        name="resnet18",
        summary="ResNet-18 with BatchNorm for 32 to 64 pixels: 11.17 million parameters with ten classes",
        build=_build_resnet18,
        min_size=16,
        bias=0.0,
    )
)
