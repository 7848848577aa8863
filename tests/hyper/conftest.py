"""A small real zoo for tests of what learns from zoos."""

from __future__ import annotations

import pytest

from geozoo.datasets import load_image_set
from geozoo.populate import populate_here, prepare_zoo
from geozoo.recipe import load_recipe
from tests.test_house import REPOSITORY


@pytest.fixture(scope="session")
def digits_zoo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of 24 small CNNs trained on 200 digits for two epochs."""
    url = str(tmp_path_factory.mktemp("zoos") / "digits")
    changes = ["population.members=24", "training.epochs=2", "dataset.limits={train: 200, test: 100}"]
    recipe = load_recipe(REPOSITORY / "zoos" / "digits_cnn.yaml", changes)
    images = load_image_set(recipe.dataset)
    errors = populate_here(prepare_zoo(recipe, url, images, engine="torch"), images, lambda work: None)
    assert not errors
    return url
