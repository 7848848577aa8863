"""Exports, read as those do who will read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from geozoo.interchange.exports.hugging_face import export_hugging_face
from geozoo.interchange.exports.member import export_onnx
from geozoo.interchange.exports.model_dataset import load_model_datasets
from geozoo.interchange.exports.packs import export_safetensors
from geozoo.interchange.exports.tune import export_tune
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.registry import IMPORTERS
from geozoo.store import open_zoo, split_of
from tests.support.commands import geozoo
from tests.support.foreign import WRITERS, Foreign, write_tune
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo

ZOO_KINDS = ("tune", "safetensors", "hf", "dataset")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """A zoo of simulated data, as it is populated here."""
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=12, cohorts=3, checkpoints=(0, 1, 2))[0]


def load_as_published(root: Path, epoch: int) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Folder, state and result of every trial at an epoch, by the rules of the published loaders.

    Checkpoints by either spelling; the row of results by its line, counted from 1 or, where the iteration then is
    another one, from 0.
    """
    loaded = []
    for trial in sorted(path for path in root.iterdir() if path.is_dir()):
        try:
            state = torch.load(trial / f"checkpoint_{epoch}" / "checkpoints", weights_only=True)
        except FileNotFoundError:
            state = torch.load(trial / f"checkpoint_{epoch:06d}" / "checkpoints", weights_only=True)
        rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
        row = rows[epoch - 1]
        if int(row["training_iteration"]) != epoch:
            row = rows[epoch]
        assert int(row["training_iteration"]) == epoch
        loaded.append((trial.name, state, row))
    return loaded


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_published_loaders_read_our_zoos(zoo: Zoo, epoch: int, tmp_path: Path) -> None:
    export_tune(zoo, tmp_path / "raw")
    loaded = load_as_published(tmp_path / "raw", epoch)
    metrics = zoo.metrics[zoo.metrics["epoch"] == epoch].set_index("member")
    members = zoo.members.set_index("member")
    assert len(loaded) == len(members)
    for name, state, row in loaded:
        member = name.rpartition("_")[2]
        assert list(state)[:3] == ["module_list.0.weight", "module_list.0.bias", "module_list.3.weight"]
        for key, tensor in zoo.state_dict(member, epoch).items():
            assert torch.equal(state[key], tensor)
        assert row["test_acc"] == metrics["test_accuracy"][member]
        running = metrics["running_train_accuracy"][member]
        assert row["train_acc"] == (-999 if epoch == 0 else running)
        config = row["config"]
        assert config == json.loads((tmp_path / "raw" / name / "params.json").read_text())
        assert (config["optim::lr"], config["seed"]) == (members["lr"][member], members["seed"][member])
        assert (config["model::nlin"], config["model::type"]) == ("tanh", "CNN")


def test_epochs_that_are_not_stored_keep_their_lines(tmp_path: Path) -> None:
    zoo, _ = make_zoo(tmp_path / "zoo", members=2, cohorts=1, checkpoints=(0, 5, 10))
    export_tune(zoo, tmp_path / "raw")
    for _, _, row in load_as_published(tmp_path / "raw", 10):
        assert "test_acc" in row
    late, _ = make_zoo(tmp_path / "late", members=2, cohorts=1, checkpoints=(3, 4))
    export_tune(late, tmp_path / "raw-late")
    assert len(load_as_published(tmp_path / "raw-late", 4)) == 2


def rows_by_iteration(path: Path) -> dict[int, dict[str, float]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    names = ("train_loss", "train_acc", "test_loss", "test_acc")
    return {row["training_iteration"]: {name: row[name] for name in names} for row in rows}


def test_a_raw_zoo_comes_back_equal(tmp_path: Path) -> None:
    """Folders, keys of tensors (shifted by dropout in some), tensors, settings, and metrics."""
    foreign = write_tune(tmp_path / "theirs")
    zoo = import_zoo(IMPORTERS["tune"].open(foreign.path), str(tmp_path / "zoo"), name="theirs").zoo
    export_tune(zoo, tmp_path / "back")
    trials = sorted(path.name for path in foreign.path.glob("NN_*"))
    assert sorted(path.name for path in (tmp_path / "back").iterdir() if path.is_dir()) == trials
    for name in trials:
        theirs, ours = foreign.path / name, tmp_path / "back" / name
        for checkpoint in theirs.glob("checkpoint_*"):
            epoch = int(checkpoint.name.rpartition("_")[2])
            before = torch.load(checkpoint / "checkpoints", weights_only=True)
            after = torch.load(ours / f"checkpoint_{epoch:06d}" / "checkpoints", weights_only=True)
            assert list(before) == list(after)
            assert all(torch.equal(before[key], after[key]) for key in before)
        assert rows_by_iteration(ours / "result.json") == rows_by_iteration(theirs / "result.json")
        settings = json.loads((theirs / "params.json").read_text())
        del settings["wandb::api_key"]
        assert json.loads((ours / "params.json").read_text()) == settings


@pytest.mark.parametrize("kind", sorted(IMPORTERS))
@pytest.mark.parametrize("to", ZOO_KINDS)
def test_every_imported_zoo_goes_out_again(kind: str, to: str, tmp_path: Path) -> None:
    foreign = WRITERS[kind](tmp_path / "theirs")
    zoo = import_zoo(IMPORTERS[kind].open(foreign.path), str(tmp_path / "zoo"), name="theirs").zoo
    outcome = geozoo("export", to, zoo.url, "--to", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["states"] == len(zoo.members) * len(zoo.checkpoints)


def test_our_zoo_goes_out_and_comes_back(zoo: Zoo, tmp_path: Path) -> None:
    export_tune(zoo, tmp_path / "raw")
    back = import_zoo(IMPORTERS["tune"].open(tmp_path / "raw"), str(tmp_path / "zoo"), name="back").zoo
    order = [name.rpartition("_")[2] for name in back.members["source"]]
    positions = zoo.members.set_index("member").index.get_indexer(order)
    np.testing.assert_array_equal(back.weights[:], zoo.weights[:][positions])
    hyperparameters = [
        "seed",
        "activation",
        "init",
        "init_std",
        "optimizer",
        "lr",
        "weight_decay",
        "momentum",
        "dropout",
    ]
    ours = zoo.members.iloc[positions][hyperparameters].reset_index(drop=True)
    pd.testing.assert_frame_equal(back.members[hyperparameters], ours, check_dtype=False)
    named = dict(zip(back.members["member"], order, strict=True))
    columns = ["epoch", *sorted(set(zoo.metrics.columns) - {"member", "epoch"})]
    theirs = back.metrics.assign(member=back.metrics["member"].map(named)).set_index("member")[columns]
    expected = zoo.read_metrics(members=order).set_index("member")[columns]
    pd.testing.assert_frame_equal(theirs, expected, rtol=1e-12, check_index_type=False, check_dtype=False)


def test_packs_stack_members(zoo: Zoo, tmp_path: Path) -> None:
    export_safetensors(zoo, tmp_path / "packs", epochs=[2])
    path = tmp_path / "packs" / "epoch-000002-part-00000.safetensors"
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        members = json.loads(file.metadata()["members"])
    assert members == pd.read_parquet(tmp_path / "packs" / "members.parquet")["member"].tolist()
    for position, member in enumerate(members):
        for name, tensor in zoo.state_dict(member, 2).items():
            assert torch.equal(tensors[name][position], tensor)
    layout = json.loads((tmp_path / "packs" / "layout.json").read_text())
    assert sum(int(np.prod(slot["shape"])) for slot in layout) == 2464
    assert len(pd.read_parquet(tmp_path / "packs" / "metrics.parquet")) == 12


def test_a_hugging_face_folder(zoo: Zoo, tmp_path: Path) -> None:
    export_hugging_face(zoo, tmp_path / "hf")
    _, front, text = (tmp_path / "hf" / "README.md").read_text().split("---\n", 2)
    files = yaml.safe_load(front)["configs"][0]["data_files"]
    seen = {}
    for part in files:
        paths = sorted((tmp_path / "hf").glob(part["path"]))
        assert paths
        table = pd.concat([pq.read_table(path).to_pandas() for path in paths])
        for row in table.to_dict("records"):
            assert split_of(row["member"]) == part["split"]
            np.testing.assert_array_equal(row["weights"], zoo.states(row["member"], row["epoch"])[0])
            seen[row["member"], row["epoch"]] = row["test_accuracy"]
    assert seen == {(row.member, row.epoch): row.test_accuracy for row in zoo.metrics.itertuples()}
    assert "load_dataset" in text


def test_a_view_like_the_published_data_sets(zoo: Zoo, tmp_path: Path) -> None:
    outcome = geozoo("export", "dataset", zoo.url, "--to", tmp_path / "dataset.pt", "--epoch", 1, "--epoch", 2)
    assert outcome.code == 0, outcome.err
    datasets = load_model_datasets(tmp_path / "dataset.pt")
    assert sum(map(len, datasets.values())) == 24
    train = datasets["trainset"]
    weights = train.__get_weights__()
    assert weights.shape == (len(train), 2464)
    metrics = zoo.metrics.set_index(["member", "epoch"])
    for row in range(len(train)):
        member = train.paths[row].rpartition("_")[2]
        epoch = train.epochs[row]
        assert split_of(member) == "train"
        np.testing.assert_array_equal(weights[row].numpy(), zoo.states(member, epoch)[0])
        assert train.properties["test_acc"][row] == metrics["test_accuracy"][member, epoch]
        expected = metrics["running_train_accuracy"][member, epoch] - metrics["test_accuracy"][member, epoch]
        assert train.properties["ggap"][row] == pytest.approx(expected)
        assert train.properties["training_iteration"][row] == epoch
        assert train.properties["model::nlin"][row] == "tanh"
        for key, tensor in zoo.state_dict(member, epoch).items():
            assert torch.equal(train[row][key], tensor)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_member_as_a_file(zoo: Zoo, suffix: str, tmp_path: Path) -> None:
    member, path = zoo.members["member"][3], tmp_path / f"member.{suffix}"
    assert geozoo("export", "state-dict", zoo.url, "--member", member, "-o", path).code == 0
    state = torch.load(path, weights_only=True) if suffix == "pt" else load_file(path)
    module = zoo.module(3, 0)
    module.load_state_dict(state)
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(module(images), zoo.module(3, 2)(images), rtol=0, atol=0)


def test_a_member_as_onnx(zoo: Zoo, tmp_path: Path) -> None:
    reference = pytest.importorskip("onnx.reference")
    onnx = pytest.importorskip("onnx")
    member = zoo.members["member"][0]
    export_onnx(zoo, tmp_path / "member.onnx", member, 2)
    onnx.checker.check_model(str(tmp_path / "member.onnx"))
    images = torch.rand(5, 1, 28, 28)
    [logits] = reference.ReferenceEvaluator(str(tmp_path / "member.onnx")).run(None, {"images": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, zoo.module(member, 2)(images).numpy(), rtol=1e-5, atol=1e-5)


def test_onnx_without_its_packages(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    refused = geozoo("export", "onnx", zoo.url, "--member", zoo.members["member"][0], "-o", tmp_path / "m.onnx")
    assert refused.code == 2
    assert "pip install 'geozoo[onnx]'" in refused.complaint


@pytest.mark.parametrize("kind", ZOO_KINDS)
def test_nothing_is_replaced(zoo: Zoo, kind: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "precious").write_text("kept")
    refused = geozoo("export", kind, zoo.url, "--to", there)
    assert refused.code == 2
    assert "is there already" in refused.complaint
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "precious"]


@pytest.mark.parametrize("kind", ZOO_KINDS)
def test_an_export_that_was_cut_off_leaves_nothing(
    zoo: Zoo, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_zoo(zoo.url)
    real, calls = type(opened).states, 0

    def dying(self: Zoo, members: Any, epochs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt
        return real(self, members, epochs)

    monkeypatch.setattr(type(opened), "states", dying)
    assert geozoo("export", kind, zoo.url, "--to", tmp_path / "out").code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["tune", "--to", "out", "--epoch", "7"], "epoch 7 is not stored"),
        (["hf", "--to", "out", "--member", "nobody"], "there is no member 'nobody'"),
        (["state-dict", "--member", "nobody", "-o", "m.pt"], "there is no member 'nobody'"),
        (["state-dict", "--member", "nobody", "-o", "m.npz"], "end it in .pt, .pth, .safetensors"),
        (["onnx", "--member", "nobody", "-o", "m.onnx"], "there is no member 'nobody'"),
    ],
)
def test_wrong_arguments(
    zoo: Zoo, arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = geozoo("export", arguments[0], zoo.url, *arguments[1:])
    assert refused.code == 2
    assert part in refused.complaint
    assert list(tmp_path.iterdir()) == []


def test_a_member_of_an_unknown_network_is_no_graph(tmp_path: Path) -> None:
    foreign: Foreign = WRITERS["hub"](tmp_path / "theirs")
    zoo = import_zoo(IMPORTERS["hub"].open(foreign.path), str(tmp_path / "zoo"), name="theirs").zoo
    refused = geozoo("export", "onnx", zoo.url, "--member", zoo.members["member"][0], "-o", tmp_path / "m.onnx")
    assert refused.code == 2
    assert "no network of the catalogue" in refused.complaint
    written = geozoo(
        "export", "state-dict", zoo.url, "--member", zoo.members["member"][0], "-o", tmp_path / "m.safetensors"
    )
    assert written.code == 0


def test_what_was_not_evaluated_goes_out_as_it_came(tmp_path: Path) -> None:
    """-999 of three metrics comes back, and what a row did not log is no NaN, which strict JSON has not."""
    foreign = write_tune(tmp_path / "theirs")
    for path in foreign.path.glob("NN_*/result.json"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["ggap"] = -999.0 if row["training_iteration"] == 0 else row["train_acc"] - row["test_acc"]
        del rows[1]["test_loss"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lost = next(foreign.path.glob("NN_*/result.json"))
    lost.unlink()
    zoo = import_zoo(IMPORTERS["tune"].open(foreign.path), str(tmp_path / "zoo"), name="theirs").zoo
    export_tune(zoo, tmp_path / "back")
    for path in foreign.path.glob("NN_*/result.json"):
        before = [json.loads(line) for line in path.read_text().splitlines()]
        after = [
            json.loads(line) for line in (tmp_path / "back" / path.parent.name / path.name).read_text().splitlines()
        ]
        json.dumps(after, allow_nan=False)
        for old, new in zip(before, after, strict=True):
            for name in ("train_loss", "train_acc", "test_loss", "test_acc", "ggap"):
                assert new.get(name) == old.get(name)
        assert after[0]["ggap"] == after[0]["train_acc"] == -999.0
    rows = [json.loads(line) for line in (tmp_path / "back" / lost.parent.name / lost.name).read_text().splitlines()]
    assert all(row.keys() == {"training_iteration", "config"} for row in rows)
