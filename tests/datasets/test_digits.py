from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.datasets.prepare import Preparation, prepare
from tests.support.images import draw_images


def test_digits_are_those_of_scikit_learn() -> None:
    digits = load_image_set(DatasetOptions(name="digits", size=8))
    bunch = load_digits()
    rows = np.random.Generator(np.random.PCG64(42)).permutation(1797)
    images = np.concatenate([digits.train.images, digits.validation.images, digits.test.images])
    labels = np.concatenate([digits.train.labels, digits.validation.labels, digits.test.labels])
    np.testing.assert_allclose(images[:, 0] * (16 / 255), bunch.images[rows], atol=0.5 * 16 / 255)
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(labels, bunch.target[rows])


def test_normalisation_constants_are_those_of_the_training_split() -> None:
    digits = load_image_set(DatasetOptions(name="digits"))
    pixels = digits.train.images / 255
    assert digits.size == 28
    assert digits.mean == pytest.approx((pixels.mean(),), abs=5e-4)
    assert digits.std == pytest.approx((pixels.std(),), abs=5e-4)


@pytest.mark.parametrize(("before", "after"), [(8, 28), (64, 32), (28, 20)])
def test_resize_agrees_with_antialiased_bilinear_interpolation(before: int, after: int) -> None:
    import torch

    images = draw_images(4, (before, before))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images)[:, None].double(), (after, after), mode="bilinear", antialias=True
    )
    resized = prepare(images[:, None], Preparation(size=after))
    assert np.abs(resized - expected.numpy()).max() <= 1.0
