"""The published split file, written as it is published: a series with its heading."""

import random

import numpy as np
import pandas as pd
import pytest

from geozoo.errors import InputError
from geozoo.hyper.probing.published_split import FINAL_STEP, nfn_split
from tests.support.zoos import make_zoo

STEPS = (0, 1, 2, 3, 20, 40, 60, 80, 86)


def write(path, order):
    pd.Series(order).to_csv(path, index=False)
    return path


def by_a_plain_loop(path, steps):
    """The protocol, line by line, from the text of the file; parts as lists of rows."""
    final = [int(line) for line in path.read_text().split() if steps[int(line)] == 86]
    first, test = final[: len(final) // 2], final[len(final) // 2 :]
    places = list(range(len(first)))
    random.Random(0).shuffle(places)
    kept = int(0.8 * len(first))
    return [first[place] for place in places[:kept]], [first[place] for place in places[kept:]], test


def test_every_final_row_is_where_the_protocol_puts_it(tmp_path):
    steps = np.tile(STEPS, 111)
    path = write(tmp_path / "cifar10_split.csv", np.random.default_rng(0).permutation(len(steps)))
    assert path.read_text().startswith("0\n")
    part = nfn_split(path, steps)
    train, validation, test = by_a_plain_loop(path, steps)
    assert (len(train), len(validation), len(test)) == (44, 11, 56)
    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        assert sorted(np.flatnonzero(part == name)) == sorted(rows)
    assert (part[steps != FINAL_STEP] == "").all()


def test_a_final_row_that_comes_twice_is_held_out(tmp_path):
    steps = np.full(10, FINAL_STEP)
    part = nfn_split(write(tmp_path / "split.csv", [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]), steps)
    assert part[0] == "test"
    assert (part != "").all()


def test_it_splits_the_data_set_of_a_zoo(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=40, checkpoints=(0, 60, 86), shuffle=True)
    rows = pd.MultiIndex.from_product([sorted(zoo.members["member"]), (0, 60, 86)]).to_frame(index=False)
    member, steps = rows[0].to_numpy(), rows[1].to_numpy()
    path = write(tmp_path / "split.csv", np.random.default_rng(1).permutation(len(rows)))
    final = steps == FINAL_STEP
    part = pd.Series(nfn_split(path, steps)[final], index=member[final]).reindex(zoo.members["member"]).to_numpy()
    for name, wanted in zip(("train", "validation", "test"), by_a_plain_loop(path, steps), strict=True):
        data = zoo.torch_dataset(name, FINAL_STEP, parts=part)
        assert set(data.index["member"]) == set(member[wanted])
        assert set(data.index["epoch"]) == {FINAL_STEP}
        assert len(data) == len(wanted)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0\n1\n0\n", "lists 3 rows, but every one of the 4 rows"),
        ("0\n3\n1\n1\n0\n", "lists 5 rows, but every one of the 4 rows"),
        ("0\n3\n1\n2\n0\n4\n", "lists 6 rows, but every one of the 4 rows"),
        ("row\n3\n1\n2\n0\n", "is no split file"),
    ],
)
def test_a_file_for_other_rows(tmp_path, text, complaint):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        nfn_split(path, [86, 86, 0, 86])


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match="there is no split file"):
        nfn_split(tmp_path / "none.csv", [86])
