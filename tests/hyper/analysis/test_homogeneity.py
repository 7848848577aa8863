import itertools

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.hyper.analysis.homogeneity import homogeneity, mean_pair_difference, nearest_other_members


def measure(points, values, neighbours=10, **more):
    return homogeneity(values, nearest_other_members(points, neighbours), **{"categorical": False, **more})


def test_neighbours_are_those_of_a_plain_loop():
    points = np.random.default_rng(0).normal(size=(12, 3, 4))
    flat = points.reshape(36, 4)
    expected = []
    for i in range(36):
        distance = {
            member: min((np.linalg.norm(flat[i] - flat[j]), j) for j in range(3 * member, 3 * member + 3))
            for member in range(12)
            if member != i // 3
        }
        expected.append([j for _, j in sorted(distance.values())[:5]])
    assert nearest_other_members(points, 5).tolist() == expected


def test_states_of_one_member_that_crowd_around_it_are_no_neighbours():
    points = np.zeros((3, 20, 1))
    points[0, :, 0] = np.linspace(0, 0.1, 20)
    points[1, :, 0], points[2, :, 0] = 5, 6
    assert (nearest_other_members(points, 2)[:20] // 20).tolist() == [[1, 2]] * 20


@pytest.mark.parametrize("categorical", [False, True])
def test_random_pairs_are_those_of_a_plain_loop(categorical):
    values = np.random.default_rng(1).integers(0, 4, (9, 3))
    pairs = [
        float(a != b) if categorical else abs(a - b)
        for first, second in itertools.combinations(values, 2)
        for a in first
        for b in second
    ]
    assert mean_pair_difference(values, categorical) == pytest.approx(np.mean(pairs))


def test_random_embeddings_are_as_homogeneous_as_random_pairs():
    draw = np.random.default_rng(2)
    result = measure(draw.normal(size=(600, 1, 8)), draw.uniform(size=(600, 1)))
    assert result.value == pytest.approx(1, abs=0.06)
    assert result.null_mean == pytest.approx(1, abs=0.02)
    assert result.null_low < 1 < result.null_high


@pytest.mark.parametrize("categorical", [False, True])
def test_an_embedding_that_is_the_property_is_homogeneous(categorical):
    draw = np.random.default_rng(3)
    values = draw.integers(0, 5, (500, 1)) if categorical else draw.uniform(size=(500, 1))
    result = measure(values[:, :, None].astype(float), values, categorical=categorical)
    assert result.value < 0.03
    assert result.p == pytest.approx(1 / 201)


def test_the_ratio_is_that_of_a_closed_form():
    """On a line of equally spaced members the nearest two are one step away (two at the ends)."""
    n = 40
    line = np.arange(n, dtype=float).reshape(n, 1)
    near = (2 * (n - 2) * 1 + 2 * (1 + 2)) / (2 * n)
    assert measure(line[:, :, None], line, neighbours=2).value == pytest.approx(near / ((n + 1) / 3))


def test_the_null_is_calibrated():
    draw = np.random.default_rng(4)
    nearest = nearest_other_members(draw.normal(size=(60, 1, 3)), 10)
    tries = [
        homogeneity(draw.normal(size=(60, 1)), nearest, categorical=False, permutations=99, seed=i).p
        for i in range(200)
    ]
    assert np.mean(np.array(tries) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(tries) == pytest.approx(0.5, abs=0.08)


def test_what_the_epoch_alone_explains_is_in_the_null():
    """An embedding that knows nothing but the epoch is homogeneous in a rising property, and no more than its null."""
    epochs = np.tile(np.arange(4.0), (80, 1))
    draw = np.random.default_rng(5)
    rising = epochs + 0.1 * draw.normal(size=epochs.shape)
    points = epochs[:, :, None] + 1e-3 * draw.normal(size=(80, 4, 1))
    result = measure(points, rising)
    assert result.value < 0.2
    assert result.null_low <= result.value <= result.null_high


def test_the_epoch_is_shuffled_within_members():
    epochs = np.tile(np.arange(4.0), (40, 1))
    result = measure(epochs[:, :, None] + 1e-3 * np.random.default_rng(6).normal(size=(40, 4, 1)), epochs)
    assert result.value == pytest.approx(0)
    assert result.null_mean == pytest.approx(1, abs=0.1)


def test_a_property_that_does_not_vary_is_refused():
    with pytest.raises(InputError, match="same in all states"):
        measure(np.random.default_rng(0).normal(size=(20, 1, 2)), np.ones((20, 1)))
