import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.hyper.probing.collect import Source, collect_states
from geozoo.hyper.probing.features import FEATURE_SETS, find_feature_sets, fit_principal_components
from geozoo.hyper.probing.probe import probe
from geozoo.hyper.probing.states import read_population
from geozoo.hyper.probing.table import Selection
from geozoo.hyper.splits import PARTS, split_members
from geozoo.report.probe_view import column_titles, table_lines
from geozoo.store import Attempt, create_zoo, open_zoo
from geozoo.weights.spectral import spectral_measures
from geozoo.weights.statistics import layer_statistics
from tests.support.encoders import FakeEncoder
from tests.support.zoos import make_header, make_layout, make_metrics, make_plan, make_zoo

LAYOUT = make_layout({"0.weight": (5, 8), "0.bias": (5,), "2.weight": (10, 5), "2.bias": (10,)})


def silent(what, done, total):
    assert 0 <= done <= total


def small_zoo(url, *, members=120, weights=None, metrics=None):
    """A zoo of small networks whose weights and metrics are changed by functions of (zoo, epoch, values)."""
    header = make_header((0, 1), layout=LAYOUT)
    zoo = create_zoo(url, header, make_plan(members, 1))
    attempt = Attempt.begin(zoo.location, zoo.header, zoo.members)
    draw = np.random.default_rng(0)
    for epoch in header.checkpoints:
        values = draw.normal(size=(members, header.num_parameters)).astype(np.float32)
        if weights is not None:
            weights(zoo, epoch, values)
        measured = make_metrics(list(zoo.members["member"]), epoch)
        if metrics is not None:
            metrics(values, measured)
        attempt.append(epoch, values, measured)
    attempt.commit({})
    return open_zoo(url)


def collected(zoo, names, encoder=None):
    source = Source(zoo, read_population(zoo, "member"))
    return collect_states([source], find_feature_sets(names, zoo.layout, encoder), [], 0, silent)[0]


def test_principal_components_are_those_of_a_singular_value_decomposition():
    draw = np.random.default_rng(0)
    train, other = draw.normal(size=(40, 80)) * np.linspace(0.1, 3, 80), draw.normal(size=(7, 80))
    found = fit_principal_components(train, 0)
    mean = train.mean(axis=0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][: min(50, 40)]
    for states in (train, other):
        np.testing.assert_allclose(np.abs(found(states)), np.abs((states - mean) @ axes.T), rtol=1e-6, atol=1e-8)


def test_wide_states_have_fifty_components_that_keep_their_distances():
    """Three directions hold all variance: the randomised solver finds them, so distances between states stay."""
    draw = np.random.default_rng(1)
    states = draw.normal(size=(600, 3)) @ draw.normal(size=(3, 1500)) + 1e-4 * draw.normal(size=(600, 1500))
    found = fit_principal_components(states[:500], 0)(states)
    assert found.shape == (600, 50)
    pairs = draw.integers(600, size=(2, 200))
    before, after = (np.linalg.norm(part[pairs[0]] - part[pairs[1]], axis=1) for part in (states, found))
    np.testing.assert_allclose(after, before, atol=0.02)


def test_features_of_a_zoo_are_those_of_its_states(tmp_path):
    zoo, truth = make_zoo(tmp_path / "zoo", members=30, cohorts=2)
    states = collected(zoo, ["weights", "stats", "spectral"])
    weights = truth.weights.reshape(90, -1)
    np.testing.assert_array_equal(states.features["weights"], weights)
    np.testing.assert_allclose(states.features["stats"], layer_statistics(weights, zoo.layout)[0])
    np.testing.assert_allclose(states.features["spectral"], spectral_measures(weights, zoo.layout)[0])


def test_weights_are_read_once_for_all_feature_sets(tmp_path, monkeypatch):
    zoo, _ = make_zoo(tmp_path / "zoo", members=30, cohorts=2)
    read = []
    states_of = type(zoo).states

    def count(self, members, epochs):
        read.append(len(members))
        return states_of(self, members, epochs)

    monkeypatch.setattr(type(zoo), "states", count)
    collected(zoo, list(FEATURE_SETS))
    assert sum(read) == 90


def test_held_out_weights_do_not_change_what_is_learnt(tmp_path):
    def change(zoo, epoch, values):
        held_out = split_members(zoo.members, "member") != "train"
        values[held_out] = 100 * np.random.default_rng(epoch).normal(size=values[held_out].shape)

    plain, changed = (
        collected(small_zoo(tmp_path / name, weights=how), ["pca", "weights"])
        for name, how in (("plain", None), ("changed", change))
    )
    train = plain.part == "train"
    assert not np.allclose(plain.features["weights"][~train], changed.features["weights"][~train])
    np.testing.assert_array_equal(plain.features["pca"][train], changed.features["pca"][train])


def test_states_with_infinite_weights_do_not_reach_the_principal_components(tmp_path):
    def spoil(zoo, epoch, values):
        values[:3] = np.inf

    states = collected(small_zoo(tmp_path / "zoo", weights=spoil), ["pca"])
    usable = states.selections[Selection("all", "all")]
    assert usable.sum() == 2 * 117
    assert np.isfinite(states.features["pca"][usable]).all()


def chaos(weights):
    """A number that no readout finds in the weights: the far decimals of one of them."""
    return 1e4 * weights[:, 3].astype(np.float64) % 1


def test_who_knows_a_target_wins_it(tmp_path):
    """Test accuracy is known to the (simulated) embedding alone, the gap is the spread of a layer, a statistic."""

    def measure(values, metrics):
        metrics["test_accuracy"] = chaos(values)
        metrics["generalization_gap"] = np.var(values[:, LAYOUT[2].span], axis=1)

    zoo = small_zoo(tmp_path / "zoo", metrics=measure)
    encoder = FakeEncoder(LAYOUT, lambda weights: np.column_stack([chaos(weights), np.zeros(len(weights))]))
    table = probe(
        zoo,
        features=["weights", "pca", "stats", "spectral", "embedding"],
        targets=["test_accuracy", "generalization_gap"],
        encoder=encoder,
    )
    titles = column_titles(table)
    assert titles == ["flat weights", "principal components", "layer statistics", "spectral measures", "embedding"]
    won = {
        line.target: [title for title, cell in zip(titles, line.cells, strict=True) if cell.best]
        for line in table_lines(table)
        if line.selection == "all epochs"
    }
    assert won == {"test accuracy": ["embedding"], "generalization gap": ["layer statistics"]}


def test_a_model_that_saw_held_out_members_is_refused(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=40, cohorts=2)
    part = split_members(zoo.members, "member")
    ids = zoo.members["member"].to_numpy()

    def encoder(members, by="seed"):
        return FakeEncoder(zoo.layout, lambda weights: weights[:, :5], frozenset(members), by)

    asked = {"features": ["embedding"], "targets": ["lr"]}
    table = probe(zoo, encoder=encoder(ids[part == "train"]), **asked)
    assert table.rows
    assert not table.notes
    (note,) = probe(zoo, encoder=encoder(["a member of another zoo"]), **asked).notes
    assert note.startswith("The model was trained on no member of zoo 'simulated'")
    for held_out in PARTS[1:]:
        seen = ids[part == held_out][:2]
        with pytest.raises(
            InputError, match=rf"trained on 2 members .* by member holds out \(member {seen[0]} for"
        ) as e:
            probe(zoo, encoder=encoder([*ids[part == "train"], *seen]), **asked)
        assert "split by seed" in str(e.value)


def test_a_model_of_other_networks_is_refused():
    encoder = FakeEncoder(make_layout(), lambda weights: weights)
    with pytest.raises(InputError, match=r"trained on networks of 2,464 parameters .* the zoo's have 105"):
        find_feature_sets(["embedding"], LAYOUT, encoder)


def test_feature_sets_that_cannot_be():
    with pytest.raises(InputError, match="no feature set is named"):
        find_feature_sets([], LAYOUT)
    with pytest.raises(InputError, match="'embedding' needs a trained model"):
        find_feature_sets(["embedding"], LAYOUT)
    wide = make_layout({"0.weight": (400, 400)})
    for name in ("weights", "pca"):
        with pytest.raises(InputError, match=r"of 160,000 parameters are too wide to probe \(at most 100,000\)"):
            find_feature_sets([name], wide)
    assert [found.name for found in find_feature_sets(["stats", "pca", "stats"], LAYOUT)] == ["stats", "pca"]
