"""Answers of networks in chunks, and distances between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from geozoo.hyper.decoding import answers
from geozoo.hyper.decoding.answers import (
    Answers,
    agreement_matrix,
    identified,
    mean_of_pairs,
    same_answers,
    squared_distances,
)
from geozoo.hyper.networks import Networks

NETWORKS = Networks("tetris_mlp", 1, 4, 4)


@pytest.fixture
def called() -> tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]:
    """Weights, activation codes, images, and the logits of all at once."""
    draw = np.random.default_rng(0)
    weights, codes = draw.normal(size=(11, 100)).astype(np.float32), draw.integers(0, 6, 11)
    images = torch.from_numpy(draw.normal(size=(13, 1, 4, 4)).astype(np.float32))
    return weights, codes, images, NETWORKS.logits(torch.from_numpy(weights), codes, images)


@pytest.mark.parametrize(("members", "images_at_once"), [(128, 512), (3, 4), (1, 1)])
def test_chunks_give_what_all_at_once_gives(
    called: tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    members: int,
    images_at_once: int,
) -> None:
    monkeypatch.setattr(answers, "MEMBERS_AT_ONCE", members)
    monkeypatch.setattr(answers, "IMAGES_AT_ONCE", images_at_once)
    weights, codes, images, logits = called
    keep = np.array([7, 0, 10, 3])
    given = Answers.of(NETWORKS, weights, codes, images, keep)
    np.testing.assert_array_equal(given.predictions, logits.argmax(-1))
    kept = logits.numpy()[keep]
    np.testing.assert_allclose(given.logits, kept - kept.mean(axis=-1, keepdims=True), atol=1e-5)


def test_one_network_for_all_gives_what_copies_of_it_give(
    called: tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor],
) -> None:
    weights, codes, images, _ = called
    keep = np.array([1, 4, 8])
    one = Answers.of_one(NETWORKS, weights[2], codes, images, keep)
    copies = Answers.of(NETWORKS, np.tile(weights[2], (11, 1)), codes, images, keep)
    np.testing.assert_array_equal(one.predictions, copies.predictions)
    np.testing.assert_array_equal(one.logits, copies.logits)


def test_a_logit_that_is_no_number_is_no_answer(
    called: tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor],
) -> None:
    weights, codes, images, _ = called
    weights = weights.copy()
    weights[4, -1] = np.nan
    weights[5, -1] = np.inf
    predictions = Answers.of(NETWORKS, weights, codes, images, np.arange(0)).predictions
    assert (predictions[[4, 5]] == -1).all()
    assert (np.delete(predictions, [4, 5], axis=0) >= 0).all()
    assert not same_answers(predictions[4], predictions[4]).any()


def test_agreements_equal_a_plain_loop() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.integers(-1, 4, (5, 31)), draw.integers(-1, 4, (7, 31))
    expected = [[sum(x == y and x >= 0 for x, y in zip(a, b, strict=True)) / 31 for b in other] for a in one]
    np.testing.assert_allclose(agreement_matrix(one, other, 4), expected)
    np.testing.assert_allclose(same_answers(one, other[:5]).mean(axis=1), np.diagonal(expected))


def test_distances_equal_scipy_and_survive_blocks_and_an_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(2)
    one, other = draw.normal(size=(6, 40)), draw.normal(size=(9, 40))
    expected = cdist(one, other, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(one, other), expected)
    monkeypatch.setattr(answers, "_COLUMNS", 7)
    np.testing.assert_allclose(squared_distances(one + 1e6, other + 1e6), expected, rtol=1e-6)
    assert (squared_distances(np.ones((3, 40)) * 0.1, np.ones((3, 40)) * 0.1) == 0).all()


def test_who_is_not_finite_is_infinitely_far() -> None:
    rows = np.zeros((3, 5))
    rows[1, 2] = np.nan
    assert np.isinf(squared_distances(rows, np.zeros((3, 5)))).tolist() == [[False] * 3, [True] * 3, [False] * 3]


def test_identification_shares_ties_and_gives_nothing_for_infinity() -> None:
    distances = np.array([[0.0, 1, 2, 3], [1, 1, 1, 5], [0, 0, 1, 1], [np.inf] * 4])
    assert identified(distances).tolist() == [1, pytest.approx(1 / 3), 0, 0]


def test_the_mean_of_pairs_leaves_the_diagonal_out() -> None:
    assert mean_of_pairs(np.array([[9.0, 1, 2], [1, 9, 3], [2, 3, 9]])) == pytest.approx(2)
    assert mean_of_pairs(np.array([[9.0]])) is None
