import numpy as np
import pandas as pd

from geozoo.hyper.probing import states
from geozoo.hyper.probing.states import chance_level, draw_states, usable_states
from tests.support.zoos import make_layout


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
    assert usable_states(features.values(), np.array([0, 0, 1, 1])).tolist() == [False, False, True, True]
