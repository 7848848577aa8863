import builtins

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.hyper.analysis.maps import pca_map, umap_map

NONE = np.empty((0, 60))


def test_principal_components_are_those_of_a_singular_value_decomposition():
    points = np.random.default_rng(0).normal(size=(60, 12)) * np.geomspace(3, 0.1, 12) + 4
    places, explained = pca_map(points, points[:7] + 1)
    left, lengths, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
    assert np.allclose(np.abs(places[:60]), np.abs(left[:, :2] * lengths[:2]), atol=1e-6)
    assert np.allclose(np.abs(places[60:] - places[:7]), np.abs(axes[:2].sum(axis=1)), atol=1e-6)
    assert explained == pytest.approx(tuple(lengths[:2] ** 2 / np.sum(lengths**2)))


def test_one_dimension_and_no_variance_have_a_map():
    places, explained = pca_map(np.arange(5.0)[:, None], NONE[:, :1])
    assert np.allclose(np.abs(places[:, 0]), np.abs(np.arange(5) - 2))
    assert explained == pytest.approx((1, 0))
    assert not pca_map(np.ones((5, 3)), NONE[:, :3])[0].any()


def test_umap_keeps_clusters_together_and_repeats():
    draw = np.random.default_rng(1)
    centres = np.repeat(np.eye(60)[:2] * 50, 30, axis=0)
    points = centres + draw.normal(size=centres.shape)
    places = umap_map(points, points[:5] + 0.01, seed=3)
    first, second, more = np.split(places, [30, 60])
    gap = np.linalg.norm(first.mean(0) - second.mean(0))
    assert gap > 3 * max(first.std(axis=0).max(), second.std(axis=0).max())
    assert np.linalg.norm(more - first.mean(0), axis=1).max() < gap / 3
    assert np.array_equal(places[:60], umap_map(points, NONE[:, :60], seed=3))


def test_without_umap_the_sentence_says_how_to_install_it(monkeypatch):
    load = builtins.__import__

    def missing(name, *arguments, **more):
        if name.partition(".")[0] == "umap":
            raise ImportError(name)
        return load(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pip install \"geozoo\[analysis\]\""):
        umap_map(np.zeros((20, 3)), NONE[:, :3])


def test_few_states_have_no_umap():
    with pytest.raises(InputError, match="9 states are too few"):
        umap_map(np.zeros((9, 3)), NONE[:, :3])
