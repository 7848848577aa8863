"""The chance of drawing an altered member, against enumeration and scipy."""

from __future__ import annotations

import itertools

import pytest
from scipy.stats import hypergeom

from geozoo.audit import chances, draw_members
from geozoo.audit.chance import detection_chance
from geozoo.errors import InputError


@pytest.mark.parametrize(("members", "drawn", "altered"), [(7, 3, 1), (7, 3, 2), (8, 1, 3), (6, 6, 1), (6, 4, 5)])
def test_chance_is_the_share_of_draws_that_hold_an_altered_member(members: int, drawn: int, altered: int) -> None:
    draws = list(itertools.combinations(range(members), drawn))
    caught = sum(any(member < altered for member in draw) for draw in draws)
    assert detection_chance(members, drawn, altered) == pytest.approx(caught / len(draws), abs=1e-15)


@pytest.mark.parametrize(("members", "drawn", "altered"), [(1000, 20, 10), (50_000, 300, 500), (50_000, 1, 1)])
def test_chance_is_hypergeometric(members: int, drawn: int, altered: int) -> None:
    expected = hypergeom.sf(0, members, altered, drawn)
    assert detection_chance(members, drawn, altered) == pytest.approx(expected, rel=1e-9)


def test_chances_are_told_for_one_and_for_shares() -> None:
    told = {one.altered: one.chance for one in chances(1000, 100)}
    assert told == pytest.approx({altered: hypergeom.sf(0, 1000, altered, 100) for altered in (1, 10, 50)})
    assert [one.altered for one in chances(12, 3)] == [1]
    assert [one.chance for one in chances(12, 12)] == [1.0]


def test_a_draw_is_repeated_by_its_seed_whatever_the_order() -> None:
    members = [f"{number:02d}" for number in range(40)]
    draw = draw_members(members, 10, seed=3)
    assert draw_members(reversed(members), 10, seed=3) == draw
    assert len(set(draw)) == 10
    assert draw_members(members, 10, seed=4) != draw
    assert sorted(draw_members(members, 40, seed=3)) == members


@pytest.mark.parametrize("count", [0, 13, -1])
def test_no_more_are_drawn_than_there_are(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} members cannot be drawn from 12"):
        draw_members([str(number) for number in range(12)], count, seed=0)


def test_none_are_drawn_from_nothing() -> None:
    with pytest.raises(InputError, match="no member is committed"):
        draw_members([], 1, seed=0)
