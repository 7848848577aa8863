"""The reader against the stacked truth."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from geozoo.errors import DamagedZooError, InputError
from geozoo.nets import build_network, flatten
from geozoo.store import Attempt, Zoo, create_zoo, open_zoo, split_of
from tests.support.zoos import Truth, make_header, make_metrics, make_plan, make_zoo

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS, CHECKPOINTS = 10, (0, 1, 2, 5, 9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Truth]:
    return make_zoo(
        tmp_path_factory.mktemp("zoo"),
        members=MEMBERS,
        cohorts=3,
        checkpoints=CHECKPOINTS,
        shuffle=True,
        max_shard_bytes=50_000,
    )


MASK = np.arange(MEMBERS) % 3 == 0


@pytest.mark.parametrize(
    "key",
    [
        (),
        3,
        -1,
        np.int64(2),
        slice(2, 8, 3),
        slice(None, None, -1),
        slice(4, 4),
        [7, 0, 7],
        MASK,
        list(MASK),
        ...,
        None,
        (0, 0),
        (slice(None), -1),
        (slice(1, 5), slice(None, None, 2)),
        ([1, 2, 3], [0, 4, 0]),
        ([[1], [2]], [0, 4]),
        (MASK, 2),
        (MASK, slice(1, 3)),
        (slice(None), [0, 3]),
        (3, [True, False, True, False, False]),
        (..., 1),
        np.random.default_rng(0).random((MEMBERS, len(CHECKPOINTS))) < 0.3,
        (2, 3, slice(5, 20)),
        (slice(2, 5), 1, -1),
        ([], 0),
        (None, 0, 0),
        (np.array([1, 2]), np.array([0, 1]), slice(None)),
    ],
    ids=str,
)
def test_indexing_is_numpy_s(made: tuple[Zoo, Truth], key: Any) -> None:
    zoo, truth = made
    states = truth.weights
    # numpy sees the states as single elements here, so an Ellipsis or a mask cannot reach into the parameters
    whole = key if isinstance(key, tuple) and len(key) == 3 else None
    grid = np.arange(states.shape[0] * states.shape[1]).reshape(states.shape[:2])
    expected = states[whole] if whole else states.reshape(-1, states.shape[2])[grid[key]]
    np.testing.assert_array_equal(zoo.weights[key], expected)


@pytest.mark.parametrize(
    "key", [3, slice(1, 7, 2), [7, 0], MASK, (slice(1, 5), slice(None, 3)), ([1, 2], [0, 4]), (MASK, 2)]
)
def test_indexing_is_numpy_s_on_the_array_itself(made: tuple[Zoo, Truth], key: Any) -> None:
    zoo, truth = made
    np.testing.assert_array_equal(zoo.weights[key], truth.weights[key])


@pytest.mark.parametrize("key", [MEMBERS, (0, 5), (0, 0, 0, 0), [True, False], "name"])
def test_indices_out_of_range_are_refused(made: tuple[Zoo, Truth], key: Any) -> None:
    with pytest.raises(InputError, match="does not index weights of shape"):
        made[0].weights[key]


def test_weights_are_array_like(made: tuple[Zoo, Truth]) -> None:
    zoo, truth = made
    assert len(zoo.weights) == MEMBERS
    assert (zoo.weights.ndim, zoo.weights.nbytes) == (truth.weights.ndim, truth.weights.nbytes)
    np.testing.assert_array_equal(np.asarray(zoo.weights), truth.weights)
    np.testing.assert_array_equal(np.asarray(zoo.weights, dtype=np.float64), truth.weights.astype(np.float64))


def test_states_pair_members_with_epochs(made: tuple[Zoo, Truth]) -> None:
    zoo, truth = made
    ids = list(zoo.members["member"])
    np.testing.assert_array_equal(zoo.states([ids[4], ids[0]], [9, 1]), truth.weights[[4, 0], [4, 1]])
    np.testing.assert_array_equal(zoo.states(ids[4], [5, 0]), truth.weights[4, [3, 0]])
    np.testing.assert_array_equal(zoo.states([3, -1], 2), truth.weights[[3, -1], 2])
    assert zoo.states([], 0).shape == (0, zoo.header.num_parameters)
    with pytest.raises(InputError, match="members and epochs are paired"):
        zoo.states([0, 1], [0, 1, 2])


def test_what_is_not_there_is_named(made: tuple[Zoo, Truth]) -> None:
    zoo, _ = made
    with pytest.raises(InputError, match="no member 'nobody'"):
        zoo.states("nobody", 0)
    with pytest.raises(InputError, match="position 10 is out of range: this zoo has 10 members"):
        zoo.states(10, 0)
    with pytest.raises(InputError, match=r"epoch 3 is not stored.*0, 1, 2, 5, 9"):
        zoo.states(0, 3)
    with pytest.raises(InputError, match=r"no metric 'beauty'.*there are finite, generalization_gap"):
        zoo.read_metrics(columns=["beauty"])
    with pytest.raises(InputError, match="no cohort '7-000'"):
        zoo.plan_of("7-000")


def test_metrics_by_column_epoch_and_member(made: tuple[Zoo, Truth]) -> None:
    zoo, truth = made
    ids = [zoo.members["member"][row] for row in (6, 2)]
    found = zoo.read_metrics(columns=["test_accuracy"], epochs=[9, 0], members=ids)
    rows = truth.metrics.set_index(["member", "epoch"])["test_accuracy"]
    assert list(found.columns) == ["member", "epoch", "test_accuracy"]
    assert list(zip(found["member"], found["epoch"], strict=True)) == [(id_, epoch) for id_ in ids for epoch in (0, 9)]
    assert [rows[id_, epoch] for id_, epoch in zip(found["member"], found["epoch"], strict=True)] == list(
        found["test_accuracy"]
    )
    assert len(zoo.read_metrics(epochs=5, members=3)) == 1
    assert zoo.metrics is zoo.metrics


def test_running_metrics_are_null_at_the_start_and_nan_stays_nan(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header((0, 1)), make_plan(members=2, cohorts=1))
    rows = zoo.plan_of("0-000")
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    for epoch in (0, 1):
        metrics = make_metrics(list(rows["member"]), epoch)
        if epoch:
            metrics["train_loss"] = np.array([1.0, np.nan])
            metrics["running_train_loss"] = np.array([1.0, np.nan])
        attempt.append(epoch, np.zeros((2, zoo.header.num_parameters), np.float32), metrics)
    commit = attempt.commit({})
    assert commit is not None
    table = pq.read_table(tmp_path / commit.folder / "metrics.parquet")
    assert table["epoch"].to_pylist() == [0, 1, 0, 1]
    assert table["running_train_loss"].to_pylist()[:3] == [None, 1.0, None]
    assert np.isnan(table["running_train_loss"].to_numpy()[3])
    assert table["train_loss"].null_count == 0
    assert np.isnan(table["train_loss"].to_numpy()[3])
    assert str(table.schema.field("finite").type) == "bool"
    assert str(table.schema.field("train_loss").type) == "double"


def test_tensors_own_their_storage(made: tuple[Zoo, Truth]) -> None:
    zoo, truth = made
    state = zoo.state_dict(4, 9)
    torch.testing.assert_close(flatten(state, zoo.layout), torch.from_numpy(truth.weights[4, 4]), rtol=0, atol=0)
    for slot in zoo.layout:
        tensor = state[slot.name]
        assert tuple(tensor.shape) == slot.shape
        assert tensor.untyped_storage().nbytes() == 4 * slot.size
        saved = io.BytesIO()
        torch.save(tensor, saved)
        assert len(saved.getvalue()) < 4 * slot.size + 2000


def test_a_module_computes_with_the_stored_weights(made: tuple[Zoo, Truth]) -> None:
    zoo, truth = made
    module = zoo.module(4, 9)
    plan = zoo.members.iloc[4]
    plain = build_network("cnn_s", channels=1, size=28, classes=10, activation=plan["activation"])
    torch.nn.utils.vector_to_parameters(torch.from_numpy(truth.weights[4, 4]), plain.parameters())
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert not module.training
    torch.testing.assert_close(module(images), plain.eval()(images), rtol=0, atol=0)


def test_splits_are_by_member_and_depend_on_nothing_else() -> None:
    members = [f"{number:016x}" for number in range(20_000)]
    shares = pd.Series([split_of(member) for member in members]).value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.70, abs=0.015)
    assert shares["validation"] == pytest.approx(0.15, abs=0.015)
    assert shares["test"] == pytest.approx(0.15, abs=0.015)
    assert [split_of(member) for member in members[:50]] == [split_of(member) for member in reversed(members[:50])][
        ::-1
    ]


def test_a_torch_dataset_of_states(tmp_path: Path) -> None:
    zoo, truth = make_zoo(tmp_path, members=40, cohorts=4)
    rows = {member: row for row, member in enumerate(zoo.members["member"])}
    accuracy = truth.metrics.set_index(["member", "epoch"])["test_accuracy"]
    seen = set()
    for split in ("train", "validation", "test"):
        data = zoo.torch_dataset(split, epochs=[0, 2])
        loader = torch.utils.data.DataLoader(data, batch_size=5)
        weights, targets = (torch.cat(parts) for parts in zip(*loader, strict=True))
        assert weights.dtype == targets.dtype == torch.float32
        for item, (member, epoch) in enumerate(data.index.itertuples(index=False)):
            assert split_of(member) == split
            seen.add((member, epoch))
            np.testing.assert_array_equal(weights[item], truth.weights[rows[member], (0, 1, 2).index(epoch)])
            assert targets[item] == pytest.approx(accuracy[member, epoch])
    assert seen == {(member, epoch) for member in rows for epoch in (0, 2)}
    assert zoo.torch_dataset("train", epochs=0, target="running_train_loss").left_out > 0
    with pytest.raises(InputError, match="no split 'dev'"):
        zoo.torch_dataset("dev")  # type: ignore[arg-type]


def test_opening_needs_header_and_plans(tmp_path: Path) -> None:
    zoo, _ = make_zoo(tmp_path, members=2, cohorts=1)
    for name, message in (("plans/0.parquet", "plans/0.parquet is missing"), ("zoo.json", "zoo.json is missing")):
        (tmp_path / name).unlink()
        with pytest.raises(DamagedZooError, match=message):
            open_zoo(zoo.url)


def test_the_repr_says_how_far_a_zoo_is(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header(), make_plan(members=2, cohorts=1))
    assert repr(zoo) == f"Zoo('{tmp_path}': 0 of 2 members, 3 checkpoints)"
