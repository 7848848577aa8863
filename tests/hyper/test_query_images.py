"""Which images are learnt from and which are judged on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geozoo.datasets import ImageSplit, load_image_set, normalise
from geozoo.errors import InputError, ZooMismatchError
from geozoo.hyper.query_images import QueryImages, images_of
from geozoo.populate import prepare_zoo
from geozoo.recipe import load_recipe
from tests.support.population import simulated_images

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo


@pytest.fixture
def images() -> ImageSet:
    """Simulated; four of the forty test images are also training images."""
    images = simulated_images(train=100, test=40)
    pixels, labels = images.test.images.copy(), images.test.labels
    pixels[[0, 3, 4, 20]] = images.train.images[[5, 60, 99, 1]]
    return replace(images, test=ImageSplit(pixels, labels))


def test_no_image_is_learnt_from_and_judged_on(images: ImageSet) -> None:
    chosen = QueryImages.of(images)
    learnt = {image.numpy().tobytes() for image in chosen.queries}
    assert len(chosen.queries) == 100
    assert not learnt & {image.numpy().tobytes() for image in chosen.evaluation}
    rows = np.setdiff1d(np.arange(40), [0, 3, 4, 20])
    expected = normalise(images.test.images[rows], images.mean, images.std)
    np.testing.assert_allclose(chosen.evaluation.numpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(chosen.labels.numpy(), images.test.labels[rows])


def test_the_first_images_are_taken_every_time(images: ImageSet) -> None:
    some = QueryImages.of(images, queries=50, evaluation=10)
    np.testing.assert_allclose(
        some.queries.numpy(), normalise(images.train.images[:50], images.mean, images.std), rtol=1e-6
    )
    rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]  # training images 60 and 99 are not among the queries
    np.testing.assert_array_equal(some.labels.numpy(), images.test.labels[rows])
    again = QueryImages.of(images, queries=50, evaluation=10)
    assert torch.equal(again.evaluation, some.evaluation)


def test_a_test_split_of_training_images_is_refused(images: ImageSet) -> None:
    with pytest.raises(InputError, match="every test image of 'simulated' is among its training images"):
        QueryImages.of(replace(images, test=images.train.take(slice(0, 20))))


RECIPE = """
name: digits
dataset: {name: digits, size: 28, limits: {train: 40}}
network: {name: cnn_s}
population:
  grid: {activation: [tanh], init: [kaiming_uniform], optimizer: [adam], lr: [1.0e-3], batch_size: [10]}
  seeds: {count: 2}
training: {epochs: 1}
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    path = tmp_path / "digits.yaml"
    path.write_text(RECIPE)
    recipe = load_recipe(path)
    return prepare_zoo(recipe, str(tmp_path / "zoo"), load_image_set(recipe.dataset))


def test_the_images_of_a_zoo_are_those_of_its_recipe(zoo: Zoo) -> None:
    assert images_of(zoo).fingerprint == zoo.header.dataset["fingerprint"]
    assert len(images_of(zoo).train) == 40


def test_other_images_than_those_of_the_zoo_are_refused(zoo: Zoo) -> None:
    dataset = {**zoo.header.dataset, "fingerprint": "sha256:" + 64 * "0"}
    zoo.header = zoo.header.model_copy(update={"dataset": dataset})
    with pytest.raises(ZooMismatchError, match="their fingerprints differ"):
        images_of(zoo)
