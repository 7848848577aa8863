from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.hyper.models import EncoderDecoderOptions
from geozoo.hyper.models.blocks import Blocks, BlockShape
from geozoo.hyper.models.encoder_decoder import EncoderDecoder
from geozoo.hyper.models.options import ProjectionOptions, TokenScheme
from geozoo.nets import build_network, derive_layout, unflatten
from tests.hyper.models.test_blocks import library_layer

TETRIS = derive_layout(build_network("tetris_mlp", channels=1, size=4, classes=4, activation="tanh"))
CNN_S = derive_layout(build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh"))
SHAPE = BlockShape(width=16, heads=2, hidden=24, activation=nn.ReLU, bias=True, dropout=0.0)


def options(**changes: object) -> EncoderDecoderOptions:
    small = {
        "width": SHAPE.width,
        "blocks": 2,
        "heads": SHAPE.heads,
        "feed_forward": SHAPE.hidden,
        "latent": 6,
        "dropout": 0.0,
        "projection": ProjectionOptions(layers=2, width=7, out=5),
    }
    return EncoderDecoderOptions(**(small | changes))


def scrambled(model: EncoderDecoder) -> EncoderDecoder:
    """In float64, with weights that leave nothing at zero or one."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.double()


def through_torch(x: Tensor, blocks: Blocks) -> Tensor:
    for block in blocks.blocks:
        x = library_layer(block, SHAPE).double()(x)  # type: ignore[arg-type]
    return x


def neurons(vector: Tensor) -> list[Tensor]:
    """Incoming weights and bias of every unit of the small CNN, unit by unit."""
    tensors = unflatten(vector, CNN_S)
    found = []
    for number in (0, 3, 6, 9, 11):
        weight, bias = tensors[f"module_list.{number}.weight"], tensors[f"module_list.{number}.bias"]
        found += [torch.cat([weight[unit].ravel(), bias[unit, None]]) for unit in range(len(bias))]
    return found


LAYER_OF_NEURON = [layer for layer, units in enumerate((8, 6, 4, 20, 10)) for _ in range(units)]


@pytest.mark.parametrize("compression", ["token", "flatten"])
@pytest.mark.parametrize("bottleneck", ["tanh", "linear"])
def test_encoding_written_out_neuron_by_neuron(compression: str, bottleneck: str) -> None:
    model = scrambled(EncoderDecoder(options(compression=compression, bottleneck=bottleneck), [CNN_S]))
    weights = torch.randn(3, 2464, dtype=torch.float64)
    for vector, latent in zip(weights, model.encode(weights), strict=True):
        tokens = [model.embeddings[layer](token) for layer, token in zip(LAYER_OF_NEURON, neurons(vector), strict=True)]
        if compression == "token":
            tokens.insert(0, model.summary[0])  # type: ignore[index]
        x = through_torch((torch.stack(tokens) + model.encoder_positions)[None], model.encoder)[0]
        z = model.compress(x[0] if compression == "token" else x.ravel())
        torch.testing.assert_close(latent, torch.tanh(z) if bottleneck == "tanh" else z)


def test_decoding_written_out_neuron_by_neuron() -> None:
    model = scrambled(EncoderDecoder(options(), [CNN_S]))
    latents = torch.randn(3, 6, dtype=torch.float64)
    for latent, vector in zip(latents, model.decode(latents), strict=True):
        x = model.expand(latent).reshape(48, 16) + model.decoder_positions
        x = through_torch(x[None], model.decoder)[0]
        expected = [model.readouts[layer](token) for layer, token in zip(LAYER_OF_NEURON, x, strict=True)]
        for mine, other in zip(neurons(vector), expected, strict=True):
            torch.testing.assert_close(mine, other)


def test_parameters_by_hand() -> None:
    """Width 16, hidden 24, latent 6, tokens 8 + 6 + 4 + 20 + 10 of 26, 201, 25, 37 and 21 numbers."""
    norms, attention, feed_forward = 2 * (16 + 16), 4 * (16 * 16 + 16), (16 * 24 + 24) + (24 * 16 + 16)
    blocks = 2 * 2 * (norms + attention + feed_forward)
    lengths = (26, 201, 25, 37, 21)
    embeddings, readouts = sum(length * 16 + 16 for length in lengths), sum(16 * length + length for length in lengths)
    positions = 49 * 16 + 48 * 16 + 16
    bottleneck = (16 * 6 + 6) + (6 * 48 * 16 + 48 * 16)
    head = (6 * 7 + 7) + (7 * 7 + 7) + (7 * 5 + 5) + 2 * (7 + 7 + 5)
    model = EncoderDecoder(options(), [CNN_S])
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == blocks + embeddings + readouts + positions + bottleneck + head
    assert not [name for name in model.state_dict() if "groups" in name]


def test_the_head_is_linear_batchnorm_relu_in_torch() -> None:
    model = EncoderDecoder(options(), [TETRIS]).eval()
    linear = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    norms = [layer for layer in model.head if isinstance(layer, nn.BatchNorm1d)]
    assert (len(linear), len(norms)) == (3, 3)
    for norm in norms:
        norm.running_mean.normal_()  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    latent = torch.randn(4, 6)
    x = latent
    for number, (layer, norm) in enumerate(zip(linear, norms, strict=True)):
        x = (layer(x) - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator]
        x = x if number == 2 else x.clamp_min(0)
    torch.testing.assert_close(model.project(latent), x)
    assert torch.equal(model.embed(latent), latent)


@pytest.mark.parametrize(
    ("tokens", "compression", "bottleneck"), [("neuron", "token", "tanh"), ("neuron_in_out", "flatten", "linear")]
)
def test_eight_networks_are_learned_by_heart(tokens: str, compression: str, bottleneck: str) -> None:
    torch.manual_seed(0)
    chosen = options(tokens=tokens, compression=compression, bottleneck=bottleneck, blocks=1, latent=16)
    model = EncoderDecoder(chosen, [TETRIS])
    weights = torch.randn(8, 100)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (model(weights).predicted - weights).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize("tokens", get_args(TokenScheme))
@pytest.mark.parametrize("compression", ["token", "flatten"])
def test_no_states_pass_both_ways(tokens: str, compression: str) -> None:
    model = EncoderDecoder(options(tokens=tokens, compression=compression), [TETRIS])
    result = model(torch.zeros(0, 100))
    assert (result.latent.shape, result.predicted.shape, result.mask) == ((0, 6), (0, 100), None)
    (result.predicted.sum() + result.latent.sum()).backward()
    gradients = [p.grad for name, p in model.named_parameters() if not name.startswith("head")]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_without_dropout_nothing_is_drawn_and_with_it_something_is() -> None:
    weights = torch.randn(4, 2464)
    sure, random = (EncoderDecoder(options(dropout=rate), [CNN_S]).train() for rate in (0.0, 0.1))
    assert torch.equal(sure(weights).predicted, sure(weights).predicted)
    assert not torch.equal(random(weights).predicted, random(weights).predicted)


def test_bfloat16_is_close_to_float32() -> None:
    model = EncoderDecoder(options(tokens="neuron_in_out"), [CNN_S])
    weights = torch.randn(4, 2464)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(weights)
        loss = (rough.predicted.float() - weights).square().mean() + model.project(rough.latent).square().mean()
    loss.backward()
    exact = model(weights)
    torch.testing.assert_close(rough.predicted.float(), exact.predicted, atol=0.05, rtol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_one_layout_only() -> None:
    with pytest.raises(InputError, match="cannot have 2 layouts: it is for one; choose model 'sane'"):
        EncoderDecoder(options(), [CNN_S, TETRIS])
    with pytest.raises(InputError, match="has no zoo 1"):
        EncoderDecoder(options(), [TETRIS]).encode(torch.zeros(1, 100), zoo=1)
