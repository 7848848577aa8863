"""Preprocessed files, folders of files, and checkpoints of timm and Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geozoo.errors import NetworkError
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.registry import IMPORTERS
from geozoo.nets import build_network
from tests.support.commands import geozoo
from tests.support.foreign import Foreign, flat, make_state, published_class, write_files, write_hub, write_pt

if TYPE_CHECKING:
    from geozoo.store import Zoo


def take(foreign: Foreign, url: Path) -> Zoo:
    return import_zoo(IMPORTERS[foreign.kind].open(foreign.path), str(url), name="theirs").zoo


def test_flat_vectors_are_cut_as_the_published_class_cuts_them(tmp_path: Path) -> None:
    foreign = write_pt(tmp_path, vector=True)
    zoo = take(foreign, tmp_path / "zoo")
    assert zoo.header.recipe["network"] == {"name": "cnn_s"}
    row = zoo.members.index[zoo.members["source"] == "NN_tune_trainable_00000"][0]
    network = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").eval()
    network.load_state_dict(make_state(25))
    images = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(zoo.module(int(row), 25)(images), network(images))


def test_vectors_of_an_unknown_network(tmp_path: Path) -> None:
    with published_class() as cls:
        part = cls()
        part.data_in, part.paths, part.epochs = [torch.arange(7.0)], [Path("a")], [3]
        torch.save({"trainset": part}, tmp_path / "file.pt")
    zoo = take(Foreign("pt", tmp_path / "file.pt"), tmp_path / "zoo")
    np.testing.assert_array_equal(zoo.states(0, 3), [np.arange(7)])
    assert [slot.name for slot in zoo.layout] == ["vector"]
    with pytest.raises(NetworkError, match="no network of the catalogue"):
        zoo.module(0, 3)


def test_properties_of_a_preprocessed_zoo(tmp_path: Path) -> None:
    zoo = take(write_pt(tmp_path), tmp_path / "zoo")
    assert zoo.members["source_split"].tolist() == ["train"] * 4 + ["validation", "test"]
    assert zoo.members["activation"].unique().tolist() == ["tanh"]
    np.testing.assert_allclose(zoo.members["lr"].astype(float), [1e-3 * (1 + member) for member in range(6)])
    np.testing.assert_allclose(zoo.metrics["running_generalization_gap"], 0.02)
    assert "training_iteration" not in zoo.metrics.columns


def test_permuted_copies_of_a_state_count_once(tmp_path: Path) -> None:
    foreign = write_pt(tmp_path)
    with published_class():
        loaded = torch.load(foreign.path, weights_only=False)
        part = loaded["trainset"]
        for values in (part.data_in, part.paths, *part.properties.values()):  # which hold the epochs
            values.append(values[0])
        torch.save(loaded, foreign.path)
    outcome = geozoo("import", "pt", foreign.path, "--to", tmp_path / "zoo")
    assert "left out, a copy of a state: 1 (NN_tune_trainable_00000 at epoch 21)" in outcome.out


def test_lists_that_do_not_fit_each_other(tmp_path: Path) -> None:
    foreign = write_pt(tmp_path)
    with published_class():
        loaded = torch.load(foreign.path, weights_only=False)
        loaded["valset"].properties["test_acc"].pop()
        torch.save(loaded, foreign.path)
    refused = geozoo("import", "pt", foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "lists of different lengths" in refused.complaint


def test_a_file_that_is_no_zoo(tmp_path: Path) -> None:
    torch.save({"trainset": [1, 2]}, tmp_path / "other.pt")
    refused = geozoo("import", "pt", tmp_path / "other.pt", "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "holds no data set of models" in refused.complaint
    (tmp_path / "noise.pt").write_bytes(b"no pickle and no zip")
    refused = geozoo("import", "pt", tmp_path / "noise.pt", "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "cannot be read as a file of torch.save" in refused.complaint


def test_a_table_says_what_files_are(tmp_path: Path) -> None:
    zoo = take(write_files(tmp_path / "theirs"), tmp_path / "zoo")
    assert zoo.header.recipe["network"] == {"name": "cnn_s"}
    assert zoo.checkpoints == (5, 10)
    assert zoo.members["lr"].tolist() == [1.0, 0.1, 0.01]
    assert zoo.metrics["validation_accuracy"].unique().tolist() == [0.2]
    zoo.module(0, 5)(torch.zeros(1, 1, 28, 28))


def test_files_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "theirs" / "deeper").mkdir(parents=True)
    for number in range(2):
        save_file(dict(make_state(number)), tmp_path / "theirs" / "deeper" / f"{number}.safetensors")
    zoo = take(Foreign("files", tmp_path / "theirs"), tmp_path / "zoo")
    assert zoo.members["source"].tolist() == ["deeper/0", "deeper/1"]
    assert zoo.checkpoints == (1,)
    np.testing.assert_array_equal(zoo.states([0, 1], 1), [flat(make_state(0)), flat(make_state(1))])


@pytest.mark.parametrize("named", ["../outside.safetensors", "gone.safetensors"])
def test_a_table_that_names_no_file_of_its_folder(named: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    save_file(dict(make_state(0)), tmp_path / "outside.safetensors")
    (tmp_path / "theirs" / "table.csv").write_text(f"file\n{named}\n")
    refused = geozoo("import", "files", tmp_path / "theirs", "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert named in refused.complaint


def test_shards_and_whole_files_of_a_hub(tmp_path: Path) -> None:
    zoo = take(write_hub(tmp_path / "theirs"), tmp_path / "zoo")
    assert zoo.members["hidden_size" if "hidden_size" in zoo.members else "source.seed"] is not None
    assert zoo.header.imported is not None
    assert zoo.header.imported.config["model_type"] == "tiny"
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
    for name, tensor in zoo.state_dict(1, 1).items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=0, atol=0)


def test_checkpoints_of_timm_go_back_into_timm(tmp_path: Path) -> None:
    import timm

    for seed in range(2):
        torch.manual_seed(seed)
        model = timm.create_model("resnet10t", num_classes=4)
        place = tmp_path / "theirs" / f"run{seed}"
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps({"architecture": "resnet10t", "num_classes": 4}))
        save_file(dict(model.state_dict()), place / "model.safetensors")
    zoo = take(Foreign("hub", tmp_path / "theirs"), tmp_path / "zoo")
    assert zoo.header.recipe["network"] == {"name": "timm/resnet10t"}
    torch.testing.assert_close(zoo.module(1, 1)(images := torch.randn(1, 3, 64, 64)), model.eval()(images))
    back = timm.create_model(zoo.header.imported.config["architecture"], num_classes=4).eval()  # type: ignore[union-attr]
    back.load_state_dict(zoo.state_dict(1, 1), strict=False)
    torch.testing.assert_close(back(images), model(images))


def test_a_residual_network_in_a_format_without_order(tmp_path: Path) -> None:
    """Safetensors sort tensors by name, so the last dense layer is not last."""
    networks = []
    (tmp_path / "theirs").mkdir()
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(build_network("resnet18", channels=3, size=32, classes=7, activation="relu").eval())
        save_file(networks[-1].state_dict(), tmp_path / "theirs" / f"{seed}.safetensors")
    (tmp_path / "theirs" / "table.csv").write_text("file,activation\n0.safetensors,relu\n1.safetensors,relu\n")
    zoo = take(Foreign("files", tmp_path / "theirs"), tmp_path / "zoo")
    assert zoo.header.network == {"name": "resnet18", "channels": 3, "size": 32, "classes": 7}
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(zoo.module(1, 1)(images), networks[1](images), rtol=0, atol=0)
