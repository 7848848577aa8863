"""The compiled streams, against those of `geozoo.population.streams`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geozoo.population.dropout import StreamDropout
from geozoo.population.lanes.draws import BINS, absorb32, draw_order, stream_key32
from geozoo.population.streams import MASK, Stream, absorb, data_order, keep_threshold, stream_key
from tests.support.lanes import Batch, pass_in_lanes, random_stack

words = st.integers(0, MASK)


def order_of(seed: int, epoch: int, images: int) -> np.ndarray:
    keys, order = np.empty((2, images), dtype=np.uint32), np.empty((2, images), dtype=np.int32)
    draw_order(seed, epoch, keys, order, np.empty(BINS + 1, dtype=np.int64))
    return order[0]


@settings(deadline=None)
@given(words, words)
def test_the_compiled_hash_is_that_of_plain_integers(state: int, word: int) -> None:
    assert absorb32(np.uint32(state), np.uint32(word)) == absorb(state, word)


@settings(deadline=None)
@given(words, st.sampled_from(Stream), words, words, words)
def test_the_compiled_key_is_that_of_plain_integers(
    seed: int, stream: Stream, epoch: int, step: int, layer: int
) -> None:
    ours = stream_key32(seed, np.uint32(stream), epoch, step, layer)
    assert ours == stream_key(seed, stream, epoch, step, layer)


@settings(deadline=None)
@given(words, st.integers(1, 10_000), st.integers(1, 3000))
def test_the_order_of_the_images_is_that_of_the_streams(seed: int, epoch: int, images: int) -> None:
    np.testing.assert_array_equal(order_of(seed, epoch, images), data_order(np.array([seed]), epoch, images)[0])


def test_the_order_of_more_images_than_a_digit_of_the_sort_holds_is_that_of_the_streams() -> None:
    np.testing.assert_array_equal(order_of(5, 1, 200_000), data_order(np.array([5]), 1, 200_000)[0])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("count", "rate"), [(16, 0.3), (10, 0.5), (33, 0.1), (1, 0.9)])
def test_dropout_masks_are_those_of_the_dropout_layer(count: int, rate: float, precision: str) -> None:
    """Of two layers, in the last part of a batch: 33 images are three parts of eleven."""
    module = random_stack(nn.Conv2d(1, 3, 3), StreamDropout(2), nn.Flatten(), StreamDropout(5), nn.Linear(12, 3))
    ours = pass_in_lanes(module, Batch.random(count), precision, seed=9, epoch=4, dropout=rate)
    assert len(ours.masks) == 2
    for mask, number in zip(ours.masks, (2, 5), strict=True):
        layer = StreamDropout(number).train()
        layer.key = torch.tensor(stream_key(9, Stream.DROPOUT, epoch=4, step=0, layer=number))
        layer.threshold = torch.tensor(keep_threshold(rate))
        layer.scale = torch.tensor(1 / (1 - rate), dtype=torch.float64)
        expected = layer(torch.ones(count, 12, dtype=getattr(torch, precision))).numpy()
        np.testing.assert_array_equal(mask, expected[-len(mask) :])
        assert count == 1 or 0 < (mask == 0).mean() < 1
