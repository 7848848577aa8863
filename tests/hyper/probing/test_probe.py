import json
from dataclasses import replace

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.hyper.probing.probe import probe, score_states
from geozoo.hyper.probing.scores import Score
from geozoo.hyper.probing.states import ProbeStates
from geozoo.hyper.probing.table import Selection, best, chosen
from geozoo.hyper.probing.targets import Target
from geozoo.store import Attempt, create_zoo, open_zoo
from tests.support.zoos import make_header, make_metrics, make_plan, make_zoo, write_cohort

FINAL, EVERY = Selection("final", "all"), Selection("all", "all")


def silent(what, done, total):
    assert 0 <= done <= total


def planted(targets, members=120, epochs=3, seed=0):
    """States of simulated members: 10 features that drift over epochs; ``targets`` maps names to functions."""
    draw = np.random.default_rng(seed)
    member = np.repeat(np.arange(members), epochs)
    features = draw.normal(size=(members, 10))[member] + 0.1 * draw.normal(size=(members * epochs, 10))
    part = np.repeat(["train", "validation", "test"], [members // 2, members // 4, members // 4])[member]
    last = np.arange(len(member)) % epochs == epochs - 1
    return ProbeStates(
        features={"stats": features},
        member=member,
        part=part,
        targets=[Target(name, kind, make(features, member, draw)) for name, (kind, make) in targets.items()],
        selections={FINAL: last, EVERY: np.full(len(member), True)},
    )


def by_key(rows):
    return {(row.target, row.selection.epochs, row.family): row for row in rows}


@pytest.fixture(scope="module")
def planted_rows():
    states = planted(
        {
            "linear": ("regression", lambda x, member, draw: x @ np.arange(10.0)),
            "random": ("regression", lambda x, member, draw: draw.normal(size=member.max() + 1)[member]),
            "sign": ("classification", lambda x, member, draw: np.where(x[:, 0] + x[:, 1] > 0, "plus", "minus")),
            "coin": (
                "classification",
                lambda x, member, draw: draw.choice(["heads", "tails"], member.max() + 1)[member],
            ),
        }
    )
    return by_key(score_states(states, 0, silent)[0])


def test_a_planted_linear_target_is_recovered(planted_rows):
    for epochs in ("final", "all"):
        row = planted_rows["linear", epochs, "linear"]
        assert row.score.value > 0.99
        assert row.score.low > 0.98
        assert row.tau.value > 0.9
        assert row.readout == "ridge"


@pytest.mark.parametrize("family", ["linear", "standardised", "trees", "mlp"])
def test_a_random_target_is_not(planted_rows, family):
    row = planted_rows["random", "all", family]
    assert row.score.low < 0
    assert row.score.value < 0.2
    assert row.tau.low < 0 < row.tau.high or row.tau.high <= 0


def test_a_planted_class_is_recovered_and_a_coin_is_at_its_floor(planted_rows):
    assert planted_rows["sign", "all", "linear"].score.value > 0.9
    coin = planted_rows["coin", "all", "linear"]
    assert coin.score.low < 0.5 < coin.score.high
    assert 0.2 < coin.floor < 0.8
    assert coin.tau is None


def test_counts_are_of_states_and_members(planted_rows):
    row = planted_rows["linear", "all", "trees"]
    assert (row.train_states, row.validation_states, row.test_states, row.test_members) == (180, 90, 90, 30)
    assert planted_rows["linear", "final", "trees"].test_states == 30


def test_a_selection_that_repeats_another_is_left_out():
    states = planted({"linear": ("regression", lambda x, member, draw: x[:, 0])}, epochs=1)
    rows, notes = score_states(states, 0, silent)
    assert {row.selection for row in rows} == {FINAL}
    assert notes == []


def test_states_without_a_value_are_left_out():
    def half(x, member, draw):
        return np.where(member % 2 == 0, x[:, 0], np.nan)

    rows, _ = score_states(planted({"half": ("regression", half)}), 0, silent)
    assert by_key(rows)["half", "all", "linear"].test_members == 15


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=60, cohorts=3, checkpoints=(0, 2, 4))[0]


@pytest.fixture(scope="module")
def table(zoo):
    return probe(zoo)


def test_a_probe_of_a_zoo_covers_targets_features_and_readouts(table):
    assert {row.target for row in table.rows} == {
        "test_accuracy",
        "generalization_gap",
        "epoch",
        "init",
        "init_std",
        "lr",
        "weight_decay",
        "dropout",
    }
    assert {(row.features, row.family) for row in table.rows} == {
        (features, family) for features in ("weights", "stats") for family in ("linear", "standardised", "trees", "mlp")
    }
    assert table.constant == ("activation", "optimizer", "momentum", "batch_size")
    assert sum(table.split_members.values()) == 60
    assert table.notes == ()


def test_the_epoch_has_no_row_at_the_final_epoch(table):
    assert {row.selection.epochs for row in table.rows if row.target == "epoch"} == {"all"}


def test_every_feature_set_sees_the_same_states(table):
    for rows in table.groups().values():
        assert len({(row.train_states, row.validation_states, row.test_states) for row in rows}) == 1


def test_a_table_is_json_and_a_frame(table):
    assert json.loads(json.dumps(table.to_dict()))["rows"][0]["selection"] == {"epochs": "final", "members": "all"}
    assert len(table.to_frame()) == len(table.rows)
    assert {"target", "score_value", "score_low", "tau_value"} <= set(table.to_frame().columns)


def test_a_probe_repeats_itself(zoo, table):
    again = probe(zoo, targets=["test_accuracy"])
    assert list(again.rows) == [row for row in table.rows if row.target == "test_accuracy"]


def test_the_best_rows_are_all_that_reach_the_highest_score_above_the_floor(table):
    row = table.rows[0]
    scores = [0.3, None, 0.7, 0.7, -1.0]
    rows = [replace(row, floor=0.0, score=Score(value, None, None)) for value in scores]
    assert best(rows) == rows[2:4]
    assert best([rows[1], rows[4]]) == []


def odd_zoo(url, change, members=30):
    """A zoo whose metrics and weights ``[members, params]`` are changed by a function of (epoch, weights, metrics)."""
    header = make_header((0, 1))
    zoo = create_zoo(url, header, make_plan(members, 1))
    attempt = Attempt.begin(zoo.location, zoo.header, zoo.members)
    draw = np.random.default_rng(0)
    for epoch in header.checkpoints:
        weights = draw.normal(size=(members, header.num_parameters)).astype(np.float32)
        metrics = make_metrics(list(zoo.members["member"]), epoch)
        change(epoch, weights, metrics)
        attempt.append(epoch, weights, metrics)
    attempt.commit({})
    return open_zoo(url)


def test_diverged_members_are_left_out_and_counted(tmp_path):
    def diverge(epoch, weights, metrics):
        weights[:4] = np.nan if epoch else weights[:4]
        metrics["finite"] = np.isfinite(weights).all(axis=1)

    table = probe(odd_zoo(tmp_path / "zoo", diverge), targets=["test_accuracy"])
    assert table.diverged == 4
    assert sum(table.split_members.values()) == 26


def test_members_near_chance_are_scored_apart(tmp_path):
    def fail(epoch, weights, metrics):
        metrics["test_accuracy"][:10] = 0.12

    table = probe(odd_zoo(tmp_path / "zoo", fail), features=["stats"], targets=["test_accuracy"])
    assert table.near_chance == 10
    assert table.chance_threshold == pytest.approx(0.15)
    sizes = {row.selection: row.train_states + row.validation_states + row.test_states for row in table.rows}
    assert sizes[Selection("all", "above chance")] == sizes[EVERY] - 2 * 10


def test_few_members_are_scored_with_a_warning(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=12, cohorts=1)
    table = probe(zoo, targets=["test_accuracy"])
    assert "12 members are too few for a meaningful score" in table.notes[0]


def test_a_zoo_without_commits_is_refused(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan())
    with pytest.raises(InputError, match="no committed member with finite weights"):
        probe(zoo)


def test_a_zoo_too_small_for_three_parts_is_refused(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=1, cohorts=1)
    with pytest.raises(InputError, match=r"1 members of zoo 'simulated' are too few to probe"):
        probe(zoo)


def test_constant_targets_are_refused(zoo):
    with pytest.raises(InputError, match="none of momentum varies"):
        probe(zoo, targets=["momentum"])


def test_unknown_features_are_refused(zoo):
    with pytest.raises(InputError, match="'logits' is no feature set: choose from weights, pca, stats, spectral"):
        probe(zoo, features=["logits"])


def test_the_readout_shown_is_chosen_on_validation_states(table):
    row = table.rows[0]
    rows = [
        replace(row, features="stats", validation=validation, score=Score(score, None, None), readout=readout)
        for validation, score, readout in [(0.2, 0.9, "a"), (0.4, 0.1, "b"), (None, 0.95, "c"), (0.4, 0.3, "d")]
    ]
    assert {name: row.readout for name, row in chosen(rows).items()} == {"stats": "b"}


def test_seeds_used_again_are_mentioned_unless_split_by(tmp_path):
    plan = make_plan(30, 1)
    plan["seed"] = plan.index % 5
    zoo = create_zoo(tmp_path / "zoo", make_header(), plan)
    write_cohort(zoo, "0-000")
    zoo = open_zoo(tmp_path / "zoo")
    asked = {"features": ["stats"], "targets": ["lr"]}
    assert any("share seeds" in note for note in probe(zoo, **asked).notes)
    assert not any("share seeds" in note for note in probe(zoo, split="seed", **asked).notes)


def test_a_split_by_cell_is_scored(zoo):
    table = probe(zoo, features=["stats"], targets=["test_accuracy"], split="cell")
    assert table.split_members == {"train": 42, "validation": 9, "test": 9}


def test_a_network_trained_end_to_end_is_one_more_column(tmp_path):
    """A property that only the product of layers tells: the equivariant network stands beside the other readouts."""
    zoo, _ = make_zoo(tmp_path / "zoo", members=40)
    table = probe(zoo, features=("stats", "equivariant"), targets=("test_accuracy", "init"))
    trained = [row for row in table.rows if row.features == "equivariant"]
    assert {(row.target, row.selection) for row in trained} == {(row.target, row.selection) for row in table.rows}
    beside = {(row.target, row.selection): row for row in table.rows if row.features == "stats"}
    for row in trained:
        assert (row.family, row.readout) == ("end to end", "end to end")
        assert row.score.value is not None
        counts = (row.train_states, row.validation_states, row.test_states, row.test_members)
        other = beside[row.target, row.selection]
        assert counts == (other.train_states, other.validation_states, other.test_states, other.test_members)
