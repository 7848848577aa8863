"""The plain stacks of the published zoos: convolution, pooling, activation, dropout, dense.

Modules carry the ``state_dict`` names of the published classes (``module_list.0.weight`` ...) as these are without
dropout. The published small CNN inserts dropout modules only where the rate is positive, which shifts its indices; here
dropout layers have names of their own, so the names of a network never depend on a hyper-parameter.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

from geozoo.nets.activations import make_activation
from geozoo.nets.registry import NetworkRecord, NetworkShape, register_network

if TYPE_CHECKING:
    from torch import nn

    from geozoo.nets.registry import DropoutFactory


def _stack(layers: list[tuple[str, nn.Module]]) -> nn.Module:
    from torch import nn

    return nn.Sequential(OrderedDict(module_list=nn.Sequential(OrderedDict(layers))))


def _build_cnn_s(shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    from torch import nn

    return _stack(
        [
            ("0", nn.Conv2d(shape.channels, 8, 5)),
            ("1", nn.MaxPool2d(2)),
            ("2", make_activation(shape.activation)),
            ("dropout0", make_dropout(0)),
            ("3", nn.Conv2d(8, 6, 5)),
            ("4", nn.MaxPool2d(2)),
            ("5", make_activation(shape.activation)),
            ("dropout1", make_dropout(1)),
            ("6", nn.Conv2d(6, 4, 2)),
            ("7", make_activation(shape.activation)),
            ("8", nn.Flatten()),
            ("9", nn.Linear(36, 20)),
            ("10", make_activation(shape.activation)),
            ("dropout2", make_dropout(2)),
            ("11", nn.Linear(20, shape.classes)),
        ]
    )


def _build_cnn_l(shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    from torch import nn

    layers: list[tuple[str, nn.Module]] = []
    widths = (shape.channels, 16, 32, 15)
    for block, (fan_in, fan_out) in enumerate(pairwise(widths)):
        first = 4 * block
        layers += [
            (f"{first}", nn.Conv2d(fan_in, fan_out, 3)),
            (f"{first + 1}", nn.MaxPool2d(2)),
            (f"{first + 2}", make_activation(shape.activation)),
            (f"{first + 3}", make_dropout(block)),
        ]
    return _stack(
        [
            *layers,
            ("12", nn.Flatten()),
            ("13", nn.Linear(60, 20)),
            ("14", make_activation(shape.activation)),
            ("15", make_dropout(3)),
            ("16", nn.Linear(20, shape.classes)),
        ]
    )


def _build_unterthiner(shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    from torch import nn

    layers: list[tuple[str, nn.Module]] = []
    for block, fan_in in enumerate((shape.channels, 16, 16)):
        layers += [
            (f"conv{block}", nn.Conv2d(fan_in, 16, 3, stride=2)),
            (f"activation{block}", make_activation(shape.activation)),
            (f"dropout{block}", make_dropout(block)),
        ]
    pool: list[tuple[str, nn.Module]] = [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    return _stack([*layers, *pool, ("dense", nn.Linear(16, shape.classes))])


def _build_tetris_mlp(shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    from torch import nn

    pixels = shape.channels * shape.size**2
    return _stack(
        [
            ("flatten", nn.Flatten()),
            ("0", nn.Linear(pixels, 5, bias=False)),
            ("1", make_activation(shape.activation)),
            ("dropout0", make_dropout(0)),
            ("2", nn.Linear(5, shape.classes, bias=False)),
        ]
    )


register_network(
    NetworkRecord(
        name="cnn_s",
        summary="three convolutions, two dense layers on 28 pixels: 2464 parameters with one channel, 2864 with three",
        build=_build_cnn_s,
        sizes=(28,),
    )
)
register_network(
    NetworkRecord(
        name="cnn_l",
        summary="three wider convolutions and two dense layers on 32 pixels: 10,853 parameters with three channels",
        build=_build_cnn_l,
        sizes=(32,),
    )
)
register_network(
    NetworkRecord(
        name="unterthiner",
        summary="three strided convolutions, global average pooling, one dense layer: 4970 parameters with one channel",
        build=_build_unterthiner,
        min_size=15,
        bias=0.0,
    )
)
register_network(
    NetworkRecord(
        name="tetris_mlp",
        summary="two bias-free dense layers on 4x4 images of four classes: 100 parameters",
        build=_build_tetris_mlp,
        sizes=(4,),
        channels=(1,),
        classes=(4,),
    )
)
