import json
from itertools import pairwise

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.hyper.probing.labels import LabelRow, label_curves, labelled_states
from geozoo.hyper.probing.probe import probe
from geozoo.hyper.probing.states import ProbeStates
from geozoo.hyper.probing.table import Selection, chosen
from geozoo.report.labels_view import curve_lines
from tests.support.encoders import FakeEncoder
from tests.support.zoos import make_zoo

EVERY = Selection("all", "all")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=60, cohorts=2)[0]


@pytest.fixture
def states():
    """Two states of 40 training, 8 validation and 8 test members; the first training member cannot be used."""
    member = np.repeat(np.arange(56), 2)
    part = np.repeat(["train", "validation", "test"], [80, 16, 16])
    return ProbeStates({}, member, part, [], {EVERY: member > 0})


def labelled(states, part):
    return set(states.member[states.part == part].tolist())


def test_draws_are_nested_within_parts_and_differ(states):
    along = {2: 2, 10: 3, 39: 8}
    drawn = list(labelled_states(states, along, draws=4, seed=0))
    assert [count for count, _ in drawn] == [*along] * 4
    for number, (count, chosen_states) in enumerate(drawn):
        train, validation = labelled(chosen_states, "train"), labelled(chosen_states, "validation")
        assert (len(train), len(validation)) == (count, along[count])
        assert train <= set(range(1, 40))
        assert validation <= set(range(40, 48))
        assert labelled(chosen_states, "test") == set(range(48, 56))
        if number % 3:
            before = drawn[number - 1][1]
            assert labelled(before, "train") < train
            assert labelled(before, "validation") < validation
    tens = [frozenset(labelled(chosen_states, "train")) for count, chosen_states in drawn if count == 10]
    assert len(set(tens)) == 4
    again = list(labelled_states(states, along, draws=4, seed=0))
    assert all((a.part == b.part).all() for (_, a), (_, b) in zip(drawn, again, strict=True))
    other = next(iter(labelled_states(states, {10: 3}, draws=1, seed=1)))[1]
    assert labelled(other, "train") != tens[0]


def test_with_all_labels_the_scores_are_the_probes(zoo):
    asked = {"features": ["stats", "pca"], "targets": ["test_accuracy", "init", "epoch"]}
    table = probe(zoo, **asked)
    members = table.split_members["train"]
    curves = label_curves(zoo, [members], draws=2, **asked)
    assert curves.validation_labels == {members: table.split_members["validation"]}
    expected = {}
    for (target, selection), rows in table.groups().items():
        if selection == Selection("all" if target == "epoch" else "final", "all"):
            expected |= {(target, name): (row.score.value, row.readout) for name, row in chosen(rows).items()}
    assert len(expected) == 6
    for row in curves.rows:
        score, readout = expected[row.target, row.features]
        assert row.scores == pytest.approx([score] * 2)
        assert row.readouts == (readout,) * 2


def test_a_model_that_knows_the_target_needs_few_labels(zoo):
    """The simulated embedding holds the learning rate, the other features do not."""
    rates = {
        weights.tobytes(): rate
        for weights, rate in zip(zoo.states(zoo.members["member"].tolist(), 2), zoo.members["lr"], strict=True)
    }

    def embed(weights):
        return np.array([[1e3 * rates.get(row.tobytes(), 0.0)] for row in weights])

    curves = label_curves(
        zoo, [8, 20], features=["stats", "embedding"], targets=["lr"], encoder=FakeEncoder(zoo.layout, embed)
    )
    means = {(row.features, row.labels): row.mean for row in curves.rows}
    assert means["embedding", 8] > 0.9 > 0.5 > means["stats", 20]
    best = {line.features: [is_best for _, is_best in line.cells] for line in curve_lines(curves)}
    assert best == {"layer statistics": [False, False], "embedding": [True, True]}


def test_mean_and_spread_are_numpys():
    row = LabelRow("lr", "regression", EVERY, "stats", 5, (0.1, 0.4, 0.7), ("ridge",) * 3, 0.0)
    assert row.mean == pytest.approx(np.mean(row.scores))
    assert row.spread == pytest.approx(np.std(row.scores, ddof=1))
    undefined = LabelRow("lr", "regression", EVERY, "stats", 5, (0.1, None), ("ridge",) * 2, 0.0)
    assert undefined.mean is undefined.spread is None


def test_validation_labels_go_along_in_proportion(zoo):
    curves = label_curves(zoo, [20, 5], features=["stats"], targets=["lr"], draws=1)
    parts = curves.split_members
    assert curves.validation_labels == {5: 2, 20: round(20 * parts["validation"] / parts["train"])}
    assert [row.labels for row in curves.rows] == [5, 20]
    assert json.loads(json.dumps(curves.to_dict()))["rows"][0]["labels"] == 5


@pytest.mark.parametrize("labels", [[], [1], [5, 1000]])
def test_numbers_that_cannot_be_drawn_are_refused(zoo, labels):
    with pytest.raises(InputError, match=r"labels cannot be drawn from \d+ training members: give numbers from 2 to"):
        label_curves(zoo, labels, features=["stats"], targets=["lr"])


def test_labels_are_ascending_in_every_line(zoo):
    curves = label_curves(zoo, [5, 10], features=["stats"], draws=1)
    for one, two in pairwise(curves.rows):
        assert (one.target, one.features) != (two.target, two.features) or one.labels < two.labels
