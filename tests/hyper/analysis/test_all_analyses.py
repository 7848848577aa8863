import json

import numpy as np
import pytest
import torch

from geozoo.errors import InputError
from geozoo.hyper.analysis.barrier import weight_matching
from geozoo.hyper.analysis.evaluate import images_of
from geozoo.hyper.analysis.landscape import Analysis
from geozoo.hyper.analysis.numbers import landscape_numbers
from geozoo.store import create_zoo, open_zoo
from geozoo.weights.symmetry import network_symmetry, permute
from tests.support.commands import populate_digits
from tests.support.population import simulated_images
from tests.support.zoos import make_header, make_plan, make_zoo


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2, checkpoints=(0, 1, 3))[0]


@pytest.fixture(scope="module")
def analysis(zoo):
    return Analysis(zoo, embed=lambda weights: weights[:, :5], images=simulated_images(train=40, test=40))


@pytest.fixture(scope="module")
def landscape(analysis):
    return analysis.run()


def test_every_analysis_has_a_result(landscape):
    spaces = {"weights", "stats", "embedding"}
    assert {(one.space, one.method) for one in landscape.maps} == {(s, m) for s in spaces for m in ("pca", "umap")}
    assert {row.space for row in landscape.homogeneity} == spaces
    assert {row.property for row in landscape.homogeneity if row.states == "all"} == {
        "test_accuracy",
        "generalization_gap",
        "epoch",
    }
    assert len(landscape.similarity.members) == 24
    assert len(landscape.surfaces) == 2
    assert landscape.surfaces[0].trajectory.path.shape == (3, 2)
    assert not landscape.variance.split.identifiable
    assert {effect.name for effect in landscape.variance.effects} == {
        "init",
        "init_std",
        "lr",
        "weight_decay",
        "dropout",
    }


def test_a_map_has_all_states_of_the_sample_and_those_that_are_traced(landscape):
    states = 40 * 3 + len(landscape.traced.members) * 3
    assert {one.places.shape for one in landscape.maps} == {(states, 2)}


def test_a_traced_state_lies_where_its_copy_in_the_sample_lies(landscape):
    one = next(one for one in landscape.maps if (one.space, one.method) == ("weights", "pca"))
    background, ways = one.places[:120].reshape(40, 3, 2), one.places[120:].reshape(-1, 3, 2)
    for way, member in zip(ways, landscape.traced.members["member"], strict=True):
        row = landscape.sample.members["member"].tolist().index(member)
        assert np.allclose(way, background[row], atol=1e-6)


def test_random_weights_have_random_neighbours(landscape):
    """The simulated weights know nothing of the hyper-parameters."""
    ps = [row.result.p for row in landscape.homogeneity if row.states == "final"]
    assert np.median(ps) > 0.1


def test_members_asked_for_come_first_and_unknown_ones_are_refused(zoo, analysis):
    wanted = zoo.members["member"].tolist()[5:7]
    chosen = Analysis(zoo, members=wanted).choose(6)
    assert set(wanted) <= set(chosen)
    assert len(chosen) == 6
    assert len(analysis.choose(100)) == 40
    with pytest.raises(InputError, match="'nobody' is no committed member"):
        Analysis(zoo, members=["nobody"])


def test_members_are_spread_over_accuracies_best_first(analysis):
    chosen = analysis.final_accuracy[analysis.choose(5)].tolist()
    every = sorted(analysis.final_accuracy, reverse=True)
    assert chosen == sorted(chosen, reverse=True)
    assert (chosen[0], chosen[-1]) == (every[0], every[-1])


def test_without_its_images_a_zoo_says_so(zoo):
    found = Analysis(zoo).run()
    assert "the images 'simulated' of the zoo cannot be loaded" in found.left_out["images"]
    assert found.similarity is None
    assert found.barriers == found.surfaces == ()
    assert found.maps
    assert found.variance is not None


def test_images_are_those_the_zoo_was_trained_on(tmp_path):
    url = tmp_path / "digits"
    assert populate_digits(url, 2).code == 0
    zoo = open_zoo(url)
    images = images_of(zoo)
    assert images.fingerprint == zoo.header.dataset["fingerprint"]
    other = zoo.header.model_copy(update={"dataset": {**zoo.header.dataset, "fingerprint": "sha256:0"}})
    zoo.header = other
    with pytest.raises(InputError, match="not those of the zoo"):
        images_of(zoo)


def test_an_empty_zoo_is_refused(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan())
    with pytest.raises(InputError, match="no committed member"):
        Analysis(zoo)


def test_few_members_have_what_they_can(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=2, cohorts=1, checkpoints=(4,))
    found = Analysis(zoo, images=simulated_images(train=20, test=20)).run()
    assert "2 states are too few for UMAP" in found.left_out["umap"]
    assert "2 members are too few" in found.left_out["homogeneity"]
    assert "no spread" in found.left_out["variance"]
    assert [one.method for one in found.maps] == ["pca"] * 2
    assert found.surfaces[0].trajectory is None
    json.dumps(landscape_numbers(found), allow_nan=False)


def test_weight_matching_undoes_a_permutation(zoo):
    symmetry = network_symmetry("cnn_s", channels=1, size=28, classes=10)
    reference = torch.randn(1, 2464)
    shuffled = permute(reference, symmetry, [torch.arange(group.size).flip(0)[None] for group in symmetry.groups])
    assert not torch.equal(shuffled, reference)
    matched = weight_matching(zoo)(shuffled.numpy(), reference[0].numpy())
    assert np.array_equal(matched, reference.numpy())


def test_numbers_are_json_and_those_of_the_landscape(landscape):
    numbers = json.loads(json.dumps(landscape_numbers(landscape), allow_nan=False))
    assert numbers["members"] == 40
    assert numbers["variance"]["seed"] is None
    assert numbers["variance"]["total"] == pytest.approx(landscape.final_accuracy.to_numpy().var())
    assert numbers["homogeneity"][0]["value"] == landscape.homogeneity[0].result.value
    assert numbers["surfaces"][0]["random"]["loss"][10][10] == landscape.surfaces[0].random.loss[10, 10]
    for one, barrier in zip(numbers["barriers"], landscape.barriers, strict=True):
        assert one["after"]["loss_barrier"] == barrier.after.loss_barrier
    assert set(numbers["similarity"]["cka"]) == {"layer 1", "layer 2", "layer 3", "layer 4", "logits"}
