import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from geozoo.errors import InputError
from geozoo.report.browser.embedding import AXES, embed_members
from geozoo.store import create_zoo
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort


class Linear:
    """A model whose embedding is a linear map of the weights."""

    def __init__(self, params, size=6):
        self.map = np.random.default_rng(0).normal(size=(params, size)).astype(np.float32)

    def zoo_of(self, layout):
        return 0

    def embed(self, weights, zoo=0):
        return weights @ self.map


def read(data):
    return pq.read_table(io.BytesIO(data)).to_pandas()


def test_places_are_principal_components_of_the_last_states(tmp_path):
    zoo, made = make_zoo(tmp_path, members=30, cohorts=2)
    model = Linear(zoo.header.num_parameters)
    table = read(embed_members(zoo, model))
    assert list(table["member"]) == list(zoo.members["member"])
    assert set(table["epoch"]) == {zoo.checkpoints[-1]}
    points = model.embed(made.weights[:, -1]).astype(np.float64)
    left, scale, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    places = table[[f"component {axis + 1}" for axis in range(AXES)]].to_numpy()
    np.testing.assert_allclose(np.abs(places), np.abs(left * scale)[:, :AXES], rtol=1e-3, atol=1e-4 * scale[0])


def test_members_that_are_not_committed_or_not_finite_are_left_out(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(18, 2))
    write_cohort(zoo, "0-001")
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(18, 2))
    model = Linear(zoo.header.num_parameters)
    first = zoo.members.loc[zoo.members["committed"], "member"].iloc[0]
    states = zoo.states
    broken = zoo.states(first, zoo.checkpoints[-1])[0]

    def with_nan(members, epochs):
        found = states(members, epochs)
        found[(found == broken).all(axis=1), 3] = np.nan
        return found

    zoo.states = with_nan
    table = read(embed_members(zoo, model))
    assert set(table["member"]) == set(zoo.members.loc[zoo.members["committed"], "member"]) - {first}


def test_too_few_members_have_no_map(tmp_path):
    zoo, _ = make_zoo(tmp_path, members=3, cohorts=1)
    with pytest.raises(InputError, match="a map needs at least 4"):
        embed_members(zoo, Linear(zoo.header.num_parameters))
