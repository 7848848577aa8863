import numpy as np
import pandas as pd
import pytest

from geozoo.hyper import states
from geozoo.hyper.states import chance_level, draw_states, split_members, usable_states
from geozoo.store import split_of
from tests.support.zoos import make_layout


@pytest.fixture
def members():
    return pd.DataFrame({"member": [f"{number:016x}" for number in range(400)], "seed": np.arange(400) % 10})


def test_by_member_the_split_is_the_stores(members):
    assert split_members(members, "member").tolist() == [split_of(member) for member in members["member"]]


@pytest.mark.parametrize("column", ["member", "seed"])
def test_no_member_or_seed_is_in_two_parts(members, column):
    parts = members.assign(part=split_members(members, column)).groupby(column)["part"].nunique()
    assert (parts == 1).all()


def test_ten_seeds_are_cut_six_two_two(members):
    by_seed = members.assign(part=split_members(members, "seed")).drop_duplicates("seed")["part"]
    assert by_seed.value_counts().to_dict() == {"train": 6, "validation": 2, "test": 2}


def test_the_split_by_seed_does_not_depend_on_row_order(members):
    shuffled = members.sample(frac=1, random_state=0)
    expected = pd.Series(split_members(members, "seed"), members["member"])
    assert (pd.Series(split_members(shuffled, "seed"), shuffled["member"]).reindex(expected.index) == expected).all()


def test_all_states_are_drawn_where_there_are_few():
    every, final = draw_states(np.array(["train", "test", "validation"]), checkpoints=4, parameters=100, seed=0)
    assert every.tolist() == list(range(12))
    assert final.tolist() == [3, 7, 11]


def test_draws_are_capped_by_part_without_repeats(monkeypatch):
    monkeypatch.setattr(states, "MAX_STATES", {"train": 50, "validation": 20, "test": 10})
    part = np.repeat(["train", "validation", "test"], 30)
    every, final = draw_states(part, checkpoints=5, parameters=100, seed=0)
    assert pd.Series(part[every // 5]).value_counts().to_dict() == {"train": 50, "validation": 20, "test": 10}
    assert len(set(every)) == len(every)
    assert set(final % 5) == {4}
    assert pd.Series(part[final // 5]).value_counts().to_dict() == {"train": 30, "validation": 20, "test": 10}
    np.testing.assert_array_equal(every, draw_states(part, checkpoints=5, parameters=100, seed=0)[0])
    assert not np.array_equal(every, draw_states(part, checkpoints=5, parameters=100, seed=1)[0])


def test_wide_networks_have_fewer_states_drawn():
    part = np.repeat(["train", "validation", "test"], [700, 150, 150])
    every, _ = draw_states(part, checkpoints=50, parameters=100_000, seed=0)
    assert len(every) * 100_000 <= states.MAX_SCALARS


def test_chance_is_one_over_the_classes_or_the_majority():
    layout = make_layout({"0.weight": (4, 2), "0.bias": (4,)})
    assert chance_level({"classes": ["a", "b"]}, layout) == 0.5
    assert chance_level({"classes": ["a", "b"], "majority_share": 0.7}, layout) == 0.7
    assert chance_level({}, layout) == 0.25


def test_a_member_with_one_unusable_state_is_left_out_whole():
    features = {"weights": np.ones((4, 2)), "stats": np.ones((4, 3))}
    features["stats"][1, 2] = np.inf
    assert usable_states(features, np.array([0, 0, 1, 1])).tolist() == [False, False, True, True]
