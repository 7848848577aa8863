from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geozoo.errors import InputError
from geozoo.hyper.models import SaneOptions
from geozoo.hyper.models.blocks import BlockShape
from geozoo.hyper.models.sane import Positions, Sane, TokenTransformer
from geozoo.nets import build_network, derive_layout, num_parameters
from tests.hyper.models.test_blocks import library_layer

TETRIS = derive_layout(build_network("tetris_mlp", channels=1, size=4, classes=4, activation="tanh"))
CNN_S = derive_layout(build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh"))
UNTERTHINER = derive_layout(build_network("unterthiner", channels=1, size=28, classes=10, activation="relu"))
SHAPE = BlockShape(width=16, heads=2, hidden=64, activation=nn.GELU, bias=False, dropout=0.0)


def options(**changes: object) -> SaneOptions:
    small = {"width": SHAPE.width, "blocks": 2, "heads": SHAPE.heads, "latent": 5, "window": 16, "projection": 7}
    return SaneOptions(**(small | changes))


def scrambled(model: Sane) -> Sane:
    """In float64, with weights that leave nothing at zero or one."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.double()


def through_torch(x: Tensor, positions: Tensor, half: TokenTransformer) -> Tensor:
    x = half.enter(x) + positions
    for block in half.blocks.blocks:
        x = library_layer(block, SHAPE).double()(x)  # type: ignore[arg-type]
    return half.leave(x)  # type: ignore[no-any-return]


def rows(vector: Tensor) -> list[Tensor]:
    """The five rows and four rows of the bias-free Tetris network."""
    return [*vector[:80].reshape(5, 16), *vector[80:].reshape(4, 5)]


def test_a_pass_written_out_token_by_token() -> None:
    """Rows of 16 and 5 weights in tokens of 6: three for each of the first five rows, one for each of the last four."""
    model = scrambled(Sane(options(token_size=6), [TETRIS]))
    weights = torch.randn(2, 100, dtype=torch.float64)
    place, layer, channel = (table.weight for table in model.positions.tables)
    layers, channels = [0] * 15 + [1] * 4, [unit for unit in range(5) for _ in range(3)] + [0, 1, 2, 3]
    added = torch.stack(
        [torch.cat([place[n] + layer[k], channel[c]]) for n, (k, c) in enumerate(zip(layers, channels, strict=True))]
    )
    result = model(weights)
    for number, vector in enumerate(weights):
        chunks = [chunk for row in rows(vector) for chunk in F.pad(row, (0, -len(row) % 6)).split(6)]
        latent = through_torch(torch.stack(chunks)[None], added, model.encoder)
        torch.testing.assert_close(result.latent[number], latent[0])
        tokens = through_torch(latent, added, model.decoder)[0]
        first, last = tokens[:15].reshape(5, 18)[:, :16], tokens[15:, :5]
        torch.testing.assert_close(result.predicted[number], torch.cat([first.ravel(), last.ravel()]))
        torch.testing.assert_close(model.embed(result.latent)[number], sum(latent[0]) / 19)  # type: ignore[arg-type]


def test_a_training_pass_covers_a_window_and_nothing_else() -> None:
    model = scrambled(Sane(options(window=10), [CNN_S]))
    weights = torch.randn(3, 2464, dtype=torch.float64)
    result = model(weights, generator=torch.Generator().manual_seed(3))
    assert result.latent.shape == (3, 10, 5)
    assert result.mask is not None
    assert torch.equal(result.mask, result.mask[:1].expand(3, -1))
    index = model.sequence(0).index
    touched = [place for place, token in enumerate(index) if result.mask[0][token[token < 2464]].all()]
    assert touched == list(range(touched[0], touched[0] + 10))
    assert int(result.mask[0].sum()) == int((index[touched] < 2464).sum())
    assert not result.predicted[~result.mask].any()
    hidden = torch.where(result.mask, weights, torch.randn_like(weights))
    again = model(hidden, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again.predicted, result.predicted)


def test_a_window_is_the_pass_over_its_tokens() -> None:
    model = scrambled(Sane(options(window=10), [CNN_S]))
    weights = torch.randn(2, 2464, dtype=torch.float64)
    drawn = model(weights, generator=torch.Generator().manual_seed(5))
    sequence = model.sequence(0)
    first = int(drawn.mask[0].int().argmax())
    start = int((sequence.index == first).any(1).int().argmax())
    part = slice(start, start + 10)
    positions = model.positions(sequence.positions[part])
    latent = through_torch(sequence.cut(weights)[:, part], positions, model.encoder)
    torch.testing.assert_close(drawn.latent, latent)
    tokens = through_torch(latent, positions, model.decoder)
    for token, places in enumerate(sequence.index[part].tolist()):
        for entry, place in enumerate(places):
            if place < 2464:
                torch.testing.assert_close(drawn.predicted[:, place], tokens[:, token, entry])


def test_windows_longer_than_the_sequence_are_all_of_it() -> None:
    model = scrambled(Sane(options(window=64), [CNN_S]))
    weights = torch.randn(2, 2464, dtype=torch.float64)
    trained, whole = model(weights, generator=torch.Generator()), model(weights)
    assert trained.mask is None
    assert torch.equal(trained.predicted, whole.predicted)
    padded = torch.cat([whole.latent, torch.zeros(2, 16, 5, dtype=torch.float64)], 1)
    torch.testing.assert_close(model.project(whole.latent), model.head(padded.flatten(1)))


def test_a_long_projection_is_the_mean_over_windows() -> None:
    model = scrambled(Sane(options(window=16), [CNN_S]))
    latent = torch.randn(2, 48, 5, dtype=torch.float64)
    parts = [model.head(latent[:, start : start + 16].reshape(2, 80)) for start in (0, 16, 32)]
    torch.testing.assert_close(model.project(latent), (parts[0] + parts[1] + parts[2]) / 3)


def test_one_window_over_everything_is_the_plain_pass() -> None:
    weights = torch.randn(2, 2464, dtype=torch.float64)
    plain = scrambled(Sane(options(max_window=500), [CNN_S]))
    by_halo = Sane(options(max_window=48, halo=8), [CNN_S]).double()
    by_halo.load_state_dict(plain.state_dict())
    assert torch.equal(by_halo(weights).latent, plain(weights).latent)
    assert torch.equal(by_halo(weights).predicted, plain(weights).predicted)


def test_inner_tokens_of_halo_windows_are_those_of_windows_cut_by_hand() -> None:
    """Windows of 20 with halos of 4 keep 12: tokens 0-11 of 0-19, 12-23 of 8-27, 24-35 of 20-39, 36-47 of 28-47."""
    model = scrambled(Sane(options(max_window=20, halo=4), [CNN_S]))
    weights = torch.randn(2, 2464, dtype=torch.float64)
    sequence = model.sequence(0)
    positions, tokens = model.positions(sequence.positions), sequence.cut(weights)
    starts = (0, 8, 20, 28)
    parts = [
        through_torch(tokens[:, start : start + 20], positions[start : start + 20], model.encoder) for start in starts
    ]
    latent = torch.cat([parts[0][:, :12], parts[1][:, 4:16], parts[2][:, 4:16], parts[3][:, 8:]], dim=1)
    torch.testing.assert_close(model.encode(weights), latent)
    parts = [
        through_torch(latent[:, start : start + 20], positions[start : start + 20], model.decoder) for start in starts
    ]
    decoded = torch.cat([parts[0][:, :12], parts[1][:, 4:16], parts[2][:, 4:16], parts[3][:, 8:]], dim=1)
    torch.testing.assert_close(model.decode(latent), sequence.join(decoded))


def test_one_model_for_two_architectures() -> None:
    model = Sane(options(), [CNN_S, UNTERTHINER])
    assert model.encoder.enter.in_features == 201  # the longest row of both: 8 kernels of 25 weights and a bias
    assert [table.num_embeddings for table in model.positions.tables] == [58, 5, 20]
    for zoo, (layout, tokens) in enumerate([(CNN_S, 48), (UNTERTHINER, 58)]):
        model.zero_grad()
        result = model(torch.randn(3, num_parameters(layout)), zoo)
        assert result.latent.shape == (3, tokens, 5)
        assert result.predicted.shape == (3, num_parameters(layout))
        result.predicted.square().sum().backward()
        used = [parameter for name, parameter in model.named_parameters() if not name.startswith("head")]
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in used)
    with pytest.raises(InputError, match="has no zoo 2: it is built for 2"):
        model.encode(torch.zeros(1, 2464), 2)


def test_larger_tables_carry_over_to_a_new_architecture() -> None:
    old = Sane(options(token_size=201, positions=(100, 10, 40)), [CNN_S])
    new = Sane(options(token_size=201, positions=(100, 10, 40)), [UNTERTHINER])
    new.load_state_dict(old.state_dict())
    with pytest.raises(InputError, match="positions for the layer are 4, the layouts need 5"):
        Sane(options(positions=(100, 4, 40)), [CNN_S])


def test_parameters_by_hand() -> None:
    """Width 16, 64 hidden units, latent 5, tokens of 201, windows of 16, 48 places, 5 layers, 20 units."""
    block = 2 * 16 + 4 * 16 * 16 + 2 * 16 * 64
    encoder = (201 * 16 + 16) + 2 * block + (16 * 5 + 5)
    decoder = (5 * 16 + 16) + 2 * block + (16 * 201 + 201)
    positions = 8 * (48 + 5 + 20)
    head = 16 * 5 * 7 + 2 * 7 + (7 * 7 + 7) + 2 * 7
    model = Sane(options(), [CNN_S])
    assert sum(parameter.numel() for parameter in model.parameters()) == encoder + decoder + positions + head


def test_the_published_start() -> None:
    torch.manual_seed(0)
    model = Sane(options(width=128, blocks=3, positions=(1000, 1000, 1000)), [CNN_S])
    spread = {
        name: float(weight.detach().std()) for name, weight in model.named_parameters() if weight.numel() > 10_000
    }
    assert spread
    for name, std in spread.items():
        residual = name.endswith(("attention.out.weight", "contract.weight"))
        assert std == pytest.approx(0.02 / math.sqrt(6) if residual else 0.02, rel=0.05)
    assert not any(p.any() for name, p in model.named_parameters() if name.endswith(("enter.bias", "leave.bias")))


def test_positions_are_two_halves() -> None:
    positions = Positions((4, 3, 2), 6)
    (added,) = positions(torch.tensor([[3, 2, 1]]))
    place, layer, channel = (table.weight for table in positions.tables)
    assert torch.equal(added, torch.cat([place[3] + layer[2], channel[1]]))


def test_eight_networks_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    model = Sane(options(width=32, blocks=1, latent=16, window=6), [TETRIS])
    weights, generator = torch.randn(8, 100), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = float((model(weights).predicted.detach() - weights).square().mean())
    for _ in range(200):
        optimizer.zero_grad()
        result = model(weights, generator=generator)
        (result.predicted - weights)[result.mask].square().mean().backward()
        optimizer.step()
    assert float((model(weights).predicted.detach() - weights).square().mean()) < 0.05 * before


@pytest.mark.parametrize("window", [16, 100])
def test_no_states_pass_both_ways(window: int) -> None:
    model = Sane(options(window=window), [CNN_S])
    result = model(torch.zeros(0, 2464), generator=torch.Generator())
    assert result.predicted.shape == (0, 2464)
    (result.predicted.sum() + model.project(result.latent).sum() + model.embed(result.latent).sum()).backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())


def test_without_dropout_nothing_is_drawn_and_with_it_something_is() -> None:
    weights = torch.randn(4, 2464)
    sure, random = (Sane(options(dropout=rate), [CNN_S]).train() for rate in (0.0, 0.1))
    assert torch.equal(sure(weights).predicted, sure(weights).predicted)
    assert not torch.equal(random(weights).predicted, random(weights).predicted)


def test_bfloat16_is_close_to_float32() -> None:
    model = Sane(options(), [CNN_S])
    weights = torch.randn(4, 2464)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(weights, generator=torch.Generator().manual_seed(0))
        loss = rough.predicted.float().square().mean() + model.project(rough.latent).float().square().mean()
    loss.backward()
    exact = model(weights, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rough.predicted.float(), exact.predicted, atol=0.02, rtol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_no_layout_is_refused() -> None:
    with pytest.raises(InputError, match="was given no layout"):
        Sane(options(), [])
