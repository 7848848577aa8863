from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from geozoo.population.dropout import StreamDropout
from geozoo.population.streams import MASK, Stream, absorb, counter_hash, data_order, keep_threshold, mix, stream_key

words = st.integers(0, MASK)


def plain_mix(x: int) -> int:
    """The finaliser written out on unbounded integers."""
    x ^= x >> 16
    x = x * 0x21F0AAAD % 2**32
    x ^= x >> 15
    x = x * 0xD35A2D97 % 2**32
    return x ^ (x >> 15)


@given(words, words)
def test_plain_integers_numpy_and_torch_give_the_same_bits(state: int, word: int) -> None:
    expected = plain_mix((state + 0x9E3779B9) % 2**32 ^ word)
    assert absorb(state, word) == expected
    assert absorb(np.array([state]), np.array([word]))[0] == expected
    assert absorb(torch.tensor([state]), torch.tensor([word])).item() == expected


@given(words)
def test_mix_is_a_bijection(word: int) -> None:
    """Undone by the inverse multipliers: no two words collide."""

    def unshift(x: int, by: int) -> int:
        y = x
        for _ in range(3):
            y = x ^ (y >> by)
        return y

    x = unshift(mix(word), 15) * pow(0xD35A2D97, -1, 2**32) % 2**32
    x = unshift(x, 15) * pow(0x21F0AAAD, -1, 2**32) % 2**32
    assert unshift(x, 16) == word


def test_every_word_of_the_counter_matters() -> None:
    base = {"seed": 3, "stream": Stream.DROPOUT, "epoch": 2, "step": 5, "layer": 1, "sample": 4, "unit": 7}
    places = [base] + [base | {name: base[name] + 1} for name in base if name != "stream"]
    places.append(base | {"stream": Stream.ORDER})
    assert len({counter_hash(**place) for place in places}) == len(places)


def test_hashes_of_successive_counters_are_uniform() -> None:
    draws = counter_hash(np.int64(17) + np.zeros(1, dtype=np.int64), Stream.DROPOUT, 1, 2, 3, sample=np.arange(200_000))
    for bits in (draws >> 24, draws & 0xFF):
        assert stats.chisquare(np.bincount(bits, minlength=256)).pvalue > 1e-3


def test_flipping_one_input_bit_flips_half_of_the_output_bits() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2**32, 20_000)
    for bit in range(32):
        flipped = absorb(inputs * 0, inputs) ^ absorb(inputs * 0, inputs ^ (1 << bit))
        share = np.bitwise_count(flipped).mean() / 32
        assert abs(share - 0.5) < 0.02


def test_data_order_is_a_permutation_per_member_and_epoch() -> None:
    seeds = np.array([1, 2, 1])
    first, second = data_order(seeds, 1, 500), data_order(seeds, 2, 500)
    for row in (*first, *second):
        assert sorted(row) == list(range(500))
    np.testing.assert_array_equal(first[0], first[2])
    assert (first[0] != first[1]).mean() > 0.9
    assert (first[0] != second[0]).mean() > 0.9


def test_no_two_images_have_the_same_number() -> None:
    for seed in range(20):
        numbers = counter_hash(np.array([seed]), Stream.ORDER, 1, sample=np.arange(50_000))
        assert len(np.unique(numbers)) == 50_000


def test_all_orders_of_four_images_are_equally_likely() -> None:
    orders = data_order(np.arange(24_000), 1, 4)
    _, counts = np.unique(orders @ np.array([64, 16, 4, 1]), return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


def test_dropout_masks_are_the_counter_hash() -> None:
    layer = StreamDropout(layer=2)
    rate = 0.3
    layer.key = torch.tensor(stream_key(9, Stream.DROPOUT, epoch=4, step=6, layer=2))
    layer.threshold, layer.scale = torch.tensor(keep_threshold(rate)), torch.tensor(1 / (1 - rate))
    out = layer.train()(torch.ones(3, 2, 5))
    for sample in range(3):
        for unit in range(10):
            uniform = (counter_hash(9, Stream.DROPOUT, 4, 6, 2, sample, unit) >> 8) / 2**24
            expected = 0.0 if uniform < rate else 1 / (1 - rate)
            assert out[sample].flatten()[unit].item() == np.float32(expected)
    assert torch.equal(layer.eval()(torch.ones(3, 2, 5)), torch.ones(3, 2, 5))


def test_dropout_drops_at_its_rate_and_keeps_the_mean() -> None:
    layer = StreamDropout(layer=0)
    layer.threshold, layer.scale = torch.tensor(keep_threshold(0.25)), torch.tensor(1 / 0.75)
    out = layer.train()(torch.ones(100, 1000))
    assert abs((out == 0).double().mean().item() - 0.25) < 0.005
    assert abs(out.mean().item() - 1) < 0.01
