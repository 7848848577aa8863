import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway

from geozoo.hyper.analysis.variance import main_effects, split_by_seed


def grid(seeds):
    rows = itertools.product(["relu", "tanh"], [0.1, 0.2, 0.3], range(seeds))
    return pd.DataFrame(rows, columns=["activation", "lr", "seed"])


def test_a_constructed_table_splits_into_what_it_was_made_of():
    """Cells 0 to 5; seeds add -1, 0 and 1: between is the variance of 0..5, within that of the three."""
    members = grid(3)
    cell = np.repeat(np.arange(6.0), 3)
    found = split_by_seed(cell + np.tile([-1.0, 0.0, 1.0], 6), members, ["activation", "lr"])
    assert found.between == pytest.approx(35 / 12)
    assert found.within == pytest.approx(2 / 3)
    assert found.total == pytest.approx(35 / 12 + 2 / 3)
    assert found.seed == pytest.approx(1)
    assert (found.cells, found.members, found.identifiable) == (6, 18, True)


def test_total_variance_adds_up_in_uneven_cells():
    draw = np.random.default_rng(0)
    members = grid(4).sample(17, random_state=0, ignore_index=True)
    results = draw.normal(size=17)
    found = split_by_seed(results, members, ["activation", "lr"])
    groups = [results[list(rows)] for rows in members.groupby(["activation", "lr"]).indices.values()]
    assert found.within == pytest.approx(sum(len(g) * g.var() for g in groups) / 17)
    assert found.total == pytest.approx(results.var())


def test_the_variance_over_seeds_is_unbiased():
    draw = np.random.default_rng(1)
    members = grid(2)
    found = [split_by_seed(draw.normal(0, 2, 12), members, ["activation", "lr"]).seed for _ in range(800)]
    assert np.mean(found) == pytest.approx(4, rel=0.08)


def test_one_seed_a_cell_cannot_be_told_from_the_cell():
    found = split_by_seed(np.arange(6.0), grid(1), ["activation", "lr"])
    assert not found.identifiable
    assert np.isnan(found.seed)


def test_a_zoo_of_one_cell_has_nothing_but_seeds():
    found = split_by_seed(np.array([1.0, 2.0, 3.0]), pd.DataFrame({"seed": [1, 2, 3]}), [])
    assert found.between == 0
    assert found.seed == pytest.approx(1)


def test_an_additive_table_has_the_effects_it_was_made_of():
    """Effects -2, 2 of one and -1, 0, 1 of the other: variances 4 and 2/3."""
    members = grid(2)
    results = np.where(members["activation"] == "relu", -2.0, 2.0) + (members["lr"].to_numpy() - 0.2) * 10
    first, second = main_effects(results, members, ["lr", "activation"])
    assert (first.name, second.name) == ("activation", "lr")
    assert first.eta_squared == pytest.approx(4 / (4 + 2 / 3))
    assert first.eta_squared + second.eta_squared == pytest.approx(1)
    assert (first.levels, second.levels) == (2, 3)
    assert second.by_chance == pytest.approx(2 / 11)


def test_eta_squared_is_that_of_an_f_test():
    draw = np.random.default_rng(2)
    members = pd.DataFrame({"init": draw.choice(["a", "b", "c"], 40)})
    results = draw.normal(size=40)
    (effect,) = main_effects(results, members, ["init"])
    statistic = f_oneway(*(results[members["init"] == name] for name in "abc")).statistic
    assert effect.eta_squared / (1 - effect.eta_squared) * (40 - 3) / (3 - 1) == pytest.approx(statistic)


def test_without_effect_eta_squared_is_what_chance_gives():
    draw = np.random.default_rng(3)
    members = pd.DataFrame({"init": np.repeat(["a", "b", "c"], 10)})
    found = [main_effects(draw.normal(size=30), members, ["init"])[0] for _ in range(500)]
    assert np.mean([effect.eta_squared for effect in found]) == pytest.approx(found[0].by_chance, rel=0.1)


def test_many_values_are_cut_into_quintiles():
    members = pd.DataFrame({"lr": np.geomspace(1e-4, 1e-1, 100)})
    (effect,) = main_effects(np.repeat(np.arange(5.0), 20), members, ["lr"])
    assert (effect.levels, effect.binned) == (5, True)
    assert effect.eta_squared == pytest.approx(1)
