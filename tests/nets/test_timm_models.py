"""Networks of timm, without any download."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from geozoo.errors import InputError, NetworkError, RecipeError
from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population import CohortJob, choose_engine
from geozoo.population.initial import initial_weights
from geozoo.population.streams import Stream, counter_hash
from geozoo.recipe.model import Training
from tests.support.engine_conformance import relative_difference, train
from tests.support.population import cohort_job, hyperparameters, simulated_images
from tests.support.recipes import make_recipe, space_population

IMAGES = simulated_images(train=24, test=10, channels=3, size=32)
OWN = {"activation": "own", "init": "own"}
NETWORKS = ["timm/test_vit", "timm/test_resnet"]


def job_of(network: str, epochs: int = 2) -> CohortJob:
    members = [hyperparameters(**OWN, optimizer="adamw", lr=1e-4, batch_size=8, weight_decay=1e-2)] * 2
    return cohort_job(IMAGES, members, network=network, seeds=[3, 4], epochs=epochs)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_member_starts_as_timm_makes_it_from_the_members_seed(network: str) -> None:
    """Written out with timm and torch alone; and the generator of the process is left where it was."""
    torch.manual_seed(17)
    before = torch.get_rng_state()
    job = job_of(network)
    assert torch.equal(torch.get_rng_state(), before)
    for row, seed in zip(job.initial, (3, 4), strict=True):
        torch.manual_seed(counter_hash(seed, Stream.INITIALISATION))
        sized = {"img_size": 32} if "vit" in network else {}
        theirs = timm.create_model(network.removeprefix("timm/"), in_chans=3, num_classes=10, **sized)
        state = theirs.state_dict()
        for name, tensor in unflatten(torch.from_numpy(row), derive_layout(theirs)).items():
            assert torch.equal(tensor, state[name]), name
    assert not np.array_equal(job.initial[0], job.initial[1])
    np.testing.assert_array_equal(initial_weights(job.network, [4], job.hyperparameters[:1])[0], job.initial[1])


@pytest.mark.parametrize("network", NETWORKS)
def test_training_in_the_torch_engine_agrees_with_reference(network: str) -> None:
    job = replace(job_of(network), schedule="onecycle", augmentation="flip_rotate")
    ours, theirs = train("torch", job, IMAGES), train("reference", job, IMAGES)
    for block, expected in zip(ours, theirs, strict=True):
        assert relative_difference(block.weights, expected.weights) < 1e-6
    assert relative_difference(theirs[-1].weights, theirs[0].weights) > 1e-5


def test_another_image_size_is_another_network_where_the_model_has_a_size_of_its_own() -> None:
    small, large = (
        build_network("timm/test_vit", channels=1, size=size, classes=4, activation="own") for size in (32, 64)
    )
    assert small.pos_embed.shape[1] < large.pos_embed.shape[1]
    assert small(torch.zeros(2, 1, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("timm/no_such_model", 32, "there is no network 'timm/no_such_model': write timm/ and a model that timm"),
        ("timm/resnet18.a1_in1k", 32, "without a tag of pretrained weights"),
        ("timm/../resnet18", 32, "there is no network"),
        ("timm/test_vit", 8, "'timm/test_vit' does not fit 3 channels and image size 8"),
    ],
)
def test_what_timm_has_not_or_does_not_fit_is_refused_in_a_sentence(name: str, size: int, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build_network(name, channels=3, size=size, classes=10, activation="own")


def test_a_model_that_draws_random_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(*arguments: object, **settings: object) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(3 * 31 * 31, 10))

    monkeypatch.setattr(timm, "create_model", noisy)
    with pytest.raises(NetworkError, match="draws random numbers in training"):
        build_network("timm/test_resnet", channels=3, size=31, classes=10, activation="own")


def test_engines_other_than_lanes_train_them() -> None:
    network = {"name": "timm/test_vit", "channels": 3, "size": 32, "classes": 10, "activation": "own"}
    assert choose_engine("auto", network, 8, Training(epochs=1)).engine == "torch"
    with pytest.raises(InputError, match="lanes"):
        choose_engine("lanes", network, 8, Training(epochs=1))


@pytest.mark.parametrize(
    ("network", "grid", "message"),
    [
        ("timm/test_vit", {"init": ["own"]}, "activation 'tanh' does not go with timm/test_vit, which has own"),
        ("timm/test_vit", {"activation": "own"}, "init 'uniform' does not go with timm/test_vit"),
        ("timm/test_vit", OWN | {"dropout": [0.0, 0.5]}, "dropout does not go with timm/test_vit"),
        ("cnn_s", {"activation": "own"}, "activation 'own' is for networks of timm, cnn_s needs one by name"),
        ("resnet18", {"init": ["uniform", "own"]}, "init 'own' is for networks of timm, resnet18 needs one"),
        ("timm/vit_huge_one", OWN, "there is no network 'timm/vit_huge_one'"),
    ],
)
def test_recipes_keep_to_what_is_timms_and_what_is_not(network: str, grid: dict[str, object], message: str) -> None:
    assert make_recipe(OWN, network={"name": "timm/test_vit"}).network.name == "timm/test_vit"
    with pytest.raises(RecipeError, match=message):
        make_recipe(grid, network={"name": network})


def test_a_sampled_space_keeps_to_it_too() -> None:
    axes = {"lr": {"kind": "uniform", "low": 1e-4, "high": 1e-3}, "dropout": {"kind": "uniform", "low": 0, "high": 0.5}}
    with pytest.raises(RecipeError, match="activation 'tanh' does not go with timm/test_vit"):
        make_recipe(network={"name": "timm/test_vit"}, population=space_population(axes))
