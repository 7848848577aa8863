import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn import metrics

from geozoo.hyper.probing import scores
from geozoo.hyper.probing.scores import accuracy_score, kendall_tau, r2_score

RESAMPLES = 60


@pytest.fixture
def states():
    """Target, prediction and member of 40 states of 9 members, in mixed order, with ties."""
    draw = np.random.default_rng(0)
    member = draw.permutation(np.repeat(np.arange(9), [2, 3, 4, 5, 6, 5, 5, 5, 5]))
    target = np.round(draw.normal(size=40), 1)
    return target, np.round(target + draw.normal(size=40), 1), member


def plain_interval(statistic, target, predicted, member, seed):
    """The interval by a plain loop: draw members with replacement, put their states together, score."""
    names = np.unique(member)
    counts = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    values = []
    for count in counts:
        rows = np.concatenate(
            [np.tile(np.flatnonzero(member == name), n) for name, n in zip(names, count, strict=True)]
        )
        values.append(statistic(target[rows], predicted[rows]))
    return np.quantile(values, [0.025, 0.975])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (r2_score, metrics.r2_score),
        (kendall_tau, lambda target, predicted: kendalltau(target, predicted).statistic),
    ],
)
def test_scores_and_intervals_equal_a_plain_loop(ours, theirs, states, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", RESAMPLES)
    target, predicted, member = states
    score = ours(target, predicted, member, seed=3)
    assert score.value == pytest.approx(theirs(target, predicted), abs=1e-12)
    assert (score.low, score.high) == pytest.approx(tuple(plain_interval(theirs, *states, seed=3)), abs=1e-12)


def test_accuracy_equals_a_plain_loop(states, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", RESAMPLES)
    target, predicted, member = states
    target, predicted = np.where(target > 0, "a", "b"), np.where(predicted > 0, "a", "b")
    score = accuracy_score(target, predicted, member, seed=3)
    assert score.value == pytest.approx(metrics.accuracy_score(target, predicted))
    expected = plain_interval(metrics.accuracy_score, target, predicted, member, seed=3)
    assert (score.low, score.high) == pytest.approx(tuple(expected))


def test_pairs_are_summed_over_blocks_of_states(states, monkeypatch):
    whole = kendall_tau(*states, seed=0)
    monkeypatch.setattr(scores, "_PAIR_ROWS", 7)
    assert kendall_tau(*states, seed=0) == whole


def test_members_are_resampled_not_states():
    """Four members of 100 equal states each: as members they tell little, as states they would seem certain."""
    member = np.repeat(np.arange(4), 100)
    correct = np.repeat([True, True, False, False], 100)
    target, predicted = np.full(400, "a"), np.where(correct, "a", "b")
    by_member = accuracy_score(target, predicted, member, seed=0)
    by_state = accuracy_score(target, predicted, np.arange(400), seed=0)
    assert (by_member.low, by_member.high) == (0.0, 1.0)
    assert by_state.high - by_state.low < 0.12


@pytest.mark.parametrize("score", [r2_score, kendall_tau])
def test_a_constant_target_or_a_single_state_has_no_score(score):
    constant = score(np.full(6, 0.1), np.arange(6.0), np.arange(6), seed=0)
    single = score(np.array([0.3]), np.array([0.2]), np.array([0]), seed=0)
    assert constant.value is constant.low is constant.high is None
    assert single.value is None


def test_one_member_has_a_score_without_an_interval():
    score = r2_score(np.arange(5.0), np.arange(5.0), np.zeros(5, dtype=int), seed=0)
    assert (score.value, score.low, score.high) == (1.0, None, None)
