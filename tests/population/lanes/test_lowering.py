"""Stacks other than the catalogue's, against torch's autograd in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geozoo.errors import InputError
from geozoo.population.dropout import StreamDropout
from geozoo.population.lanes.lowering import ACTIVATION_CODES, lower
from tests.support.lanes import Batch, assert_same_pass, pass_in_lanes, pass_in_torch, random_stack

TOLERANCES = {"float64": 1e-11, "float32": 1e-5}
ACTIVATION_NAMES = sorted(ACTIVATION_CODES)


def activation(name: str) -> nn.Module:
    module: nn.Module = getattr(nn, name)()
    return module


def check(layers: list[nn.Module], channels: int, size: int, precision: str = "float64", count: int = 6) -> None:
    module = random_stack(*layers)
    classes = module(Batch.random(1, channels=channels, size=size).inputs()).shape[1]
    batch = Batch.random(count, channels=channels, size=size, classes=classes)
    ours = pass_in_lanes(module, batch, precision)
    assert_same_pass(ours, pass_in_torch(module, batch), TOLERANCES[precision])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_convolutions_of_every_kernel_and_stride_equal_torch(kernel: int, stride: int, precision: str) -> None:
    """Twice, so that a gradient goes back through the second; the strides leave a rest of the maps of 17 and 11."""
    for size in (17, 11):
        after = (size - kernel) // stride + 1
        last = (after - min(after, kernel)) // stride + 1
        layers = [
            nn.Conv2d(3, 5, kernel, stride),
            nn.Tanh(),
            nn.Conv2d(5, 2, min(after, kernel), stride, bias=False),
            nn.Flatten(),
            nn.Linear(2 * last**2, 4),
        ]
        check(layers, 3, size, precision)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_any_number_of_channels_with_and_without_bias_equals_torch(channels: int, bias: bool) -> None:
    layers = [
        nn.Conv2d(channels, 6 - channels, 3, bias=bias),
        nn.SiLU(),
        nn.Conv2d(6 - channels, channels, 2, 2, bias=bias),
        nn.Flatten(),
        nn.Linear(channels * 9, 7, bias=bias),
    ]
    check(layers, channels, 9)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_every_activation_equals_torch(name: str, precision: str) -> None:
    layers = [nn.Conv2d(2, 3, 3), activation(name), nn.Flatten(), nn.Linear(48, 9), activation(name), nn.Linear(9, 3)]
    check(layers, 2, 6, precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
def test_pooling_equals_torch_and_leaves_out_the_odd_row_and_column(size: int, precision: str) -> None:
    after = (size - 1) // 2
    layers = [nn.Conv2d(2, 3, 2), nn.MaxPool2d(2), nn.GELU(), nn.Flatten(), nn.Linear(3 * after**2, 3)]
    check(layers, 2, size, precision)


@pytest.mark.parametrize("target", [1, (1, 1)])
def test_global_average_pooling_equals_torch(target: int | tuple[int, int]) -> None:
    layers = [nn.Conv2d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(target), nn.Flatten(), nn.Linear(5, 4)]
    check(layers, 2, 7)


def test_nested_stacks_and_stacks_that_begin_or_end_without_parameters_equal_torch() -> None:
    inner = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sequential(nn.Tanh(), nn.Sequential()), nn.MaxPool2d(2))
    check([nn.MaxPool2d(2), nn.Sigmoid(), inner, nn.Flatten(), nn.Sequential(nn.Linear(12, 5)), nn.SiLU()], 1, 13)


def test_a_dense_layer_alone_and_a_deep_stack_of_them_equal_torch() -> None:
    check([nn.Flatten(), nn.Linear(27, 2)], 3, 3)
    hidden = [layer for _ in range(6) for layer in (nn.Linear(11, 11), nn.LeakyReLU())]
    check([nn.Flatten(), nn.Linear(27, 11), *hidden, nn.Linear(11, 130)], 3, 3)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[nn.Module], int, int]:
    """Layers in any order that fit, the channels of the images and their size."""
    channels, size = draw(st.integers(1, 5)), draw(st.integers(3, 12))
    layers: list[nn.Module] = []
    width, side = channels, size
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["convolution", "pooling", "activation"]))
        if kind == "convolution":
            kernel, stride, outputs = (
                draw(st.integers(1, min(side, 5))),
                draw(st.integers(1, 3)),
                draw(st.integers(1, 9)),
            )
            layers.append(nn.Conv2d(width, outputs, kernel, stride, bias=draw(st.booleans())))
            width, side = outputs, (side - kernel) // stride + 1
        elif kind == "pooling" and side >= 2:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        else:
            layers.append(activation(draw(st.sampled_from(["GELU", "LeakyReLU", "SiLU", "Sigmoid", "Tanh"]))))
    if draw(st.booleans()):
        layers.append(nn.AdaptiveAvgPool2d(1))
        side = 1
    return [*layers, nn.Flatten(), nn.Linear(width * side**2, draw(st.integers(1, 12)))], channels, size


@settings(deadline=None, max_examples=60)
@given(stacks(), st.integers(1, 20))
def test_any_stack_equals_torch(stack: tuple[list[nn.Module], int, int], count: int) -> None:
    layers, channels, size = stack
    module = random_stack(*layers)
    batch = Batch.random(count, channels=channels, size=size, classes=layers[-1].out_features)
    ours, theirs = pass_in_lanes(module, batch, "float64"), pass_in_torch(module, batch)
    scale = max(1.0, np.abs(theirs.gradient).max())
    np.testing.assert_allclose(ours.gradient, theirs.gradient, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-11)


def test_a_tie_in_a_pooling_window_goes_to_the_first_as_in_torch() -> None:
    """Bytes of three values tie in most windows; the convolution behind them sees where the gradient goes."""
    module = random_stack(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 2, 1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    batch = Batch.random(8, size=6)
    batch = replace(batch, images=batch.images % 3, values=np.array([[0.0, 0.0, 1.0] + [9.0] * 253]))
    assert_same_pass(pass_in_lanes(module, batch, "float64"), pass_in_torch(module, batch), 1e-11)


def test_not_a_number_goes_through_pooling_and_activation_as_in_torch() -> None:
    for name in ACTIVATION_NAMES:
        module = random_stack(nn.Conv2d(1, 2, 2), activation(name), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
        batch = Batch.random(7, size=6)
        batch.images[batch.images == 255] = 254
        batch.images[2, 0, 1, 4] = 255
        batch.values[0, 255] = np.nan
        for precision in ("float32", "float64"):
            ours, theirs = pass_in_lanes(module, batch, precision, lr=1), pass_in_torch(module, batch)
            assert np.isnan(theirs.logits).any(axis=1).tolist() == [row == 2 for row in range(7)]
            np.testing.assert_allclose(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)
            assert np.isnan(ours.loss)
            assert not ours.finite


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, 3, padding=1),
        nn.Conv2d(2, 4, 3, padding="same"),
        nn.Conv2d(2, 4, 3, dilation=2),
        nn.Conv2d(2, 4, 3, groups=2),
        nn.Conv2d(2, 4, (3, 2)),
        nn.Conv2d(2, 4, 3, stride=(1, 2)),
        nn.MaxPool2d(3),
        nn.MaxPool2d(2, stride=1),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.BatchNorm2d(2),
        nn.Dropout(0.5),
        nn.ELU(),
        nn.GELU(approximate="tanh"),
        nn.LeakyReLU(0.2),
        nn.Flatten(2),
    ],
    ids=str,
)
def test_a_layer_the_engine_does_not_know_is_named_and_the_remedy_said(layer: nn.Module) -> None:
    with pytest.raises(InputError) as refused:
        lower(nn.Sequential(layer), 2, 8, 4, training=True)
    assert str(refused.value) == f"the lanes engine has no layer {layer}: choose --engine torch for this network."


def test_a_module_that_is_no_stack_is_refused() -> None:
    class Residual(nn.Module):
        pass

    with pytest.raises(InputError, match=r"no layer Residual\(\): choose --engine torch"):
        lower(Residual(), 1, 8, 4, training=True)


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 4, 4), nn.Conv2d(3, 4, 1), nn.Linear(3, 4)], ids=str)
def test_a_layer_that_does_not_fit_the_map_before_it_is_refused(layer: nn.Module) -> None:
    """Torch would apply the dense layer to every row of the map."""
    with pytest.raises(InputError) as refused:
        lower(nn.Sequential(layer), 2, 3, 4, training=True)
    assert str(refused.value) == (
        f"the lanes engine cannot apply {layer} to a map of 2 x 3 x 3 (channels, height, width):"
        " change the network or choose --engine torch."
    )


def test_pooling_a_single_pixel_is_refused() -> None:
    with pytest.raises(InputError, match=r"cannot apply MaxPool2d.* to a map of 4 x 1 x 1"):
        lower(nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)), 1, 3, 4, training=True)


def test_dropout_is_part_of_a_program_only_in_training_with_a_rate() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), StreamDropout(0), nn.Linear(3, 2))

    def instructions(*, training: bool, dropout: bool) -> int:
        return len(lower(module, 1, 2, 4, training=training, dropout=dropout).forward)

    assert instructions(training=True, dropout=True) == 3
    assert instructions(training=True, dropout=False) == instructions(training=False, dropout=True) == 2
    assert len(lower(module, 1, 2, 4, training=False).backward) == 0
