import numpy as np
import pandas as pd
import pytest

from geozoo.errors import InputError
from geozoo.hyper.splits import cells, reuses_seeds, split_members
from geozoo.store import split_of


@pytest.fixture
def members():
    """400 members: 10 seeds, 40 cells of learning rate and initialiser, every seed in every cell."""
    number = np.arange(400)
    return pd.DataFrame(
        {
            "member": [f"{n:016x}" for n in number],
            "cohort": [f"0-{n % 7:03d}" for n in number],
            "position": number // 7,
            "seed": number % 10,
            "lr": 10.0 ** -(number // 10 % 20),
            "init": np.where(number // 200, "normal", "uniform"),
            "committed": number % 2 == 0,
        }
    )


def groups(members, by):
    return cells(members) if by == "cell" else members[by]


def test_by_member_the_split_is_the_stores(members):
    assert split_members(members, "member").tolist() == [split_of(member) for member in members["member"]]


@pytest.mark.parametrize("by", ["member", "seed", "cell"])
def test_nothing_straddles_parts(members, by):
    parts = members.assign(part=split_members(members, by), group=groups(members, by)).groupby("group")["part"]
    assert (parts.nunique() == 1).all()


def test_a_cell_is_all_members_with_equal_hyperparameters(members):
    by_hand = members.groupby(["lr", "init"]).ngroup()
    assert pd.Series(cells(members)).groupby(by_hand).nunique().eq(1).all()
    assert len(set(cells(members))) == by_hand.nunique() == 40


@pytest.mark.parametrize(("by", "counts"), [("seed", (6, 2, 2)), ("cell", (28, 6, 6))])
def test_whole_groups_are_cut_near_to_the_shares(members, by, counts):
    parts = members.assign(part=split_members(members, by), group=groups(members, by)).drop_duplicates("group")["part"]
    assert parts.value_counts().to_dict() == dict(zip(("train", "validation", "test"), counts, strict=True))


@pytest.mark.parametrize("by", ["member", "seed", "cell"])
def test_a_split_does_not_depend_on_row_order(members, by):
    shuffled = members.sample(frac=1, random_state=0)[members.columns[::-1]]
    expected = pd.Series(split_members(members, by), members["member"])
    assert (pd.Series(split_members(shuffled, by), shuffled["member"]).reindex(expected.index) == expected).all()


@pytest.mark.parametrize("by", ["seed", "cell"])
def test_three_groups_leave_no_part_empty(members, by):
    few = members[
        members["seed"].lt(3) if by == "seed" else members["lr"].isin([1.0, 0.1, 0.01]) & members["init"].eq("normal")
    ]
    assert set(split_members(few, by)) == {"train", "validation", "test"}


def test_seeds_used_again_are_seen(members):
    assert reuses_seeds(members)
    assert not reuses_seeds(members.drop_duplicates("seed"))
    assert not reuses_seeds(members.assign(seed=np.arange(400)))
    one_cell = members.assign(lr=0.1, init="normal")
    assert not reuses_seeds(one_cell)


def test_another_split_is_refused(members):
    with pytest.raises(InputError, match="there is no split by 'state': take one of member, seed, cell"):
        split_members(members, "state")
