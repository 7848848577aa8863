import numpy as np
import pytest

from geozoo.hyper.analysis.sample import draw_members, read_sample, spread_evenly, standardise
from geozoo.hyper.probing.states import read_population
from geozoo.weights.statistics import layer_statistics
from tests.support.zoos import make_zoo


@pytest.fixture(scope="module")
def zoo_and_truth(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=8, cohorts=2, checkpoints=(0, 1, 2, 5))


@pytest.fixture(scope="module")
def sample(zoo_and_truth):
    zoo, _ = zoo_and_truth
    embed = lambda weights: weights[:, :3] * 2  # noqa: E731
    rows = np.array([1, 4, 6])
    return read_sample(zoo, read_population(zoo, "member"), rows, (0, 5), embed, lambda *_: None)


def test_points_and_properties_are_those_of_the_states(zoo_and_truth, sample):
    zoo, truth = zoo_and_truth
    weights = truth.weights[[1, 4, 6]][:, [0, 3]]
    assert sample.members["member"].tolist() == zoo.members["member"].iloc[[1, 4, 6]].tolist()
    assert np.array_equal(sample.spaces["weights"], weights)
    assert np.array_equal(sample.spaces["embedding"], weights[:, :, :3] * 2)
    stats = layer_statistics(weights.reshape(6, -1), zoo.layout)[0]
    assert np.array_equal(sample.spaces["stats"].reshape(6, -1), stats)
    table = truth.metrics.set_index(["member", "epoch"])["test_accuracy"]
    for row, member in enumerate(sample.members["member"]):
        for column, epoch in enumerate((0, 5)):
            assert sample.values("test_accuracy")[row, column] == table[member, epoch]
    assert sample.values("epoch").tolist() == [[0, 5]] * 3
    assert sample.values("lr")[:, 0].tolist() == sample.members["lr"].tolist()


def test_statistics_are_divided_by_the_deviation_of_another_sample(sample):
    scaled = standardise(sample, sample).spaces["stats"].reshape(6, -1)
    deviations = scaled.std(axis=0)
    assert np.allclose(deviations[deviations > 1e-9], 1)
    assert standardise(sample, sample).spaces["weights"] is sample.spaces["weights"]


@pytest.mark.parametrize(
    ("count", "checkpoints", "parameters", "members", "states"),
    [(1000, 26, 2464, 1000, 4), (50, 26, 2464, 50, 26), (9000, 26, 2464, 2000, 2), (9000, 1, 2464, 4000, 1)],
)
def test_a_sample_is_bounded(count, checkpoints, parameters, members, states):
    rows, epochs = draw_members(count, checkpoints, parameters, 0)
    assert (len(rows), epochs) == (members, states)
    assert len(set(rows.tolist())) == members


def test_a_sample_of_wide_networks_is_small():
    rows, epochs = draw_members(1000, 60, 11_000_000, 0)
    assert len(rows) * epochs * 11_000_000 <= 2_000_000_000


def test_items_are_spread_from_end_to_end():
    assert spread_evenly(range(26), 4) == (0, 8, 17, 25)
    assert spread_evenly(range(26), 1) == (25,)
    assert spread_evenly(range(3), 7) == (0, 1, 2)
