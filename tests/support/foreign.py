"""Zoos of other people: the exact file layouts of the published formats, with simulated networks and metrics."""

from __future__ import annotations

import gzip
import json
import os
import sys
import types
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.nets import build_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CNN_S_WITHOUT_DROPOUT = (0, 3, 6, 9, 11)
CNN_S_WITH_DROPOUT = (0, 4, 8, 11, 14)
"""Indices of the layers in the published class, which inserts dropout modules only where the rate is positive."""


class Payload:
    """What a malicious pickle holds: loading it without restriction writes ``marker``."""

    def __init__(self, marker: Path, how: str = "system") -> None:
        self.marker, self.how = marker, how

    def __reduce__(self) -> Any:
        text = f"__import__('pathlib').Path({str(self.marker)!r}).touch()"
        return {
            "system": (os.system, (f"touch {self.marker}",)),
            "eval": (eval, (text,)),
            "exec": (exec, (text,)),
        }[self.how]


@dataclass
class Foreign:
    """A zoo of another format: where it lies, and what is in it by member's name and epoch."""

    kind: str
    path: Path
    states: dict[tuple[str, int], np.ndarray[Any, Any]] = field(default_factory=dict)
    accuracies: dict[tuple[str, int], float] = field(default_factory=dict)


def make_state(seed: int, indices: Sequence[int] = CNN_S_WITHOUT_DROPOUT) -> OrderedDict[str, torch.Tensor]:
    """A ``state_dict`` of the published small CNN with random weights."""
    torch.manual_seed(seed)
    network = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh")
    state = network.state_dict()
    renamed = [f"module_list.{index}.{leaf}" for index in indices for leaf in ("weight", "bias")]
    return OrderedDict(zip(renamed, (tensor.clone() for tensor in state.values()), strict=True))


def flat(state: dict[str, torch.Tensor]) -> np.ndarray[Any, Any]:
    return np.concatenate([tensor.numpy().reshape(-1) for tensor in state.values()])


def published_row(epoch: int, config: dict[str, Any], accuracy: float) -> dict[str, Any]:
    """A row of ``result.json`` with what Ray adds."""
    trained = {"train_loss": 0.5 + accuracy, "train_acc": accuracy + 0.01} if epoch else {}
    return {
        "train_loss": -999,
        "train_acc": -999,
        **trained,
        "test_loss": 1 - accuracy,
        "test_acc": accuracy,
        "training_iteration": epoch,
        "trial_id": "c0371_00000",
        "experiment_id": "8",
        "date": "2021-07-01_17-00-00",
        "timestamp": 1625151600,
        "time_total_s": 12.5,
        "hostname": "node",
        "node_ip": "10.0.0.1",
        "pid": 7,
        "done": False,
        "config": config,
    }


def write_trial(
    folder: Path,
    config: dict[str, Any],
    states: dict[int, OrderedDict[str, torch.Tensor]],
    rows: Sequence[dict[str, Any]],
    *,
    zeros: bool = True,
    legacy: bool = False,
) -> None:
    """One trial: settings, rows of results, and checkpoints with the optimiser beside."""
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(config))
    (folder / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for epoch, state in states.items():
        checkpoint = folder / (f"checkpoint_{epoch:06d}" if zeros else f"checkpoint_{epoch}")
        checkpoint.mkdir()
        torch.save(state, checkpoint / "checkpoints", _use_new_zipfile_serialization=not legacy)
        torch.save({"state": {}, "param_groups": []}, checkpoint / "optimizer")


def write_tune(folder: Path, members: int = 3, epochs: Sequence[int] = (0, 1, 2)) -> Foreign:
    """A raw zoo with both spellings of checkpoints, shifted indices where there is dropout, and old and new files."""
    foreign = Foreign("tune", folder / "tune_zoo_mnist_uniform")
    foreign.path.mkdir(parents=True)
    (foreign.path / "config.json").write_text("{}")
    (foreign.path / "readme.md").touch()
    for member in range(members):
        dropout = 0.5 if member % 2 else 0.0
        name = f"NN_tune_trainable_c0371_{member:05d}_{member}_seed={member + 1}_2021-07-01_16-59-53"
        config = {
            "model::type": "CNN",
            "model::nlin": "tanh",
            "model::dropout": dropout,
            "model::o_dim": 4,
            "model::init_type": "uniform",
            "model::use_bias": False,
            "optim::optimizer": "adam",
            "optim::wd": 0.0,
            "optim::lr": 3e-4,
            "training::batchsize": 10,
            "training::checkpoint_dir": None,
            "cuda": False,
            "seed": member + 1,
            "dataset::dump": "/somewhere/dataset.pt",
            "wandb::api_key": "do not pass on",
        }
        indices = CNN_S_WITH_DROPOUT if dropout else CNN_S_WITHOUT_DROPOUT
        states = {epoch: make_state(100 * member + epoch, indices) for epoch in epochs}
        accuracies = {epoch: 0.1 + 0.05 * epoch + 0.01 * member for epoch in epochs}
        rows = [published_row(epoch, config, accuracies[epoch]) for epoch in epochs]
        write_trial(foreign.path / name, config, states, rows, zeros=member % 3 != 1, legacy=member % 3 == 2)
        foreign.states |= {(name, epoch): flat(state) for epoch, state in states.items()}
        foreign.accuracies |= {(name, epoch): accuracy for epoch, accuracy in accuracies.items()}
    return foreign


@contextmanager
def published_class(name: str = "ModelDatasetBase") -> Iterator[type]:
    """The class by whose name published files are pickled, importable only inside."""
    module = "checkpoints_to_datasets.dataset_base"
    made = {part: types.ModuleType(part) for part in ("checkpoints_to_datasets", module)}
    cls = type(name, (torch.utils.data.Dataset,), {"__module__": module})
    setattr(made[module], name, cls)
    sys.modules.update(made)
    try:
        yield cls
    finally:
        for part in made:
            del sys.modules[part]


def write_pt(folder: Path, members: int = 6, epochs: Sequence[int] = (21, 25), *, vector: bool = False) -> Foreign:
    """A preprocessed zoo: pickled data sets by split, as state_dicts or as flat vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    foreign = Foreign("pt", folder / "dataset_mnist_seed.pt")
    parts = {"trainset": range(members - 2), "valset": [members - 2], "testset": [members - 1]}
    with published_class() as cls:
        loaded = {}
        for split, chosen in parts.items():
            part = cls()
            part.mode = "vector" if vector else "checkpoint"
            part.root = [PosixPath("/netscratch/zoos/MNIST")]
            pairs = [(member, epoch) for member in chosen for epoch in epochs]
            names = [f"NN_tune_trainable_{member:05d}" for member, _ in pairs]
            states = [make_state(100 * member + epoch) for member, epoch in pairs]
            part.data_in = [torch.from_numpy(flat(state)) for state in states] if vector else states
            part.data_out = part.data_in
            part.paths = [PosixPath(f"/netscratch/zoos/MNIST/{name}") for name in names]
            part.epochs = [epoch for _, epoch in pairs]
            accuracies = [0.5 + 0.01 * member + 0.001 * epoch for member, epoch in pairs]
            part.properties = {
                "test_acc": accuracies,
                "training_iteration": part.epochs,
                "ggap": [np.float64(0.02) for _ in pairs],
                "model::nlin": ["tanh" for _ in pairs],
                "optim::lr": [1e-3 * (1 + member) for member, _ in pairs],
            }
            loaded[split] = part
            for name, (_, epoch), state, accuracy in zip(names, pairs, states, accuracies, strict=True):
                foreign.states[name, epoch] = flat(state)
                foreign.accuracies[name, epoch] = accuracy
        torch.save(loaded, foreign.path)
    return foreign


LAYERS = (("conv2d", (3, 3, 1, 16)), ("conv2d_1", (3, 3, 16, 16)), ("conv2d_2", (3, 3, 16, 16)), ("dense", (16, 10)))
"""Kernels of the Small CNN Zoo in the order and form of Keras."""


@dataclass
class Keras(Foreign):
    """A Small CNN Zoo, with the kernels (height, width, in, out) and biases that its rows were made of."""

    kernels: dict[tuple[str, int], list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = field(
        default_factory=dict
    )


def write_unterthiner(folder: Path, members: int = 3, steps: Sequence[int] = (0, 20, 86)) -> Keras:
    """``weights.npy``, ``metrics.csv.gz``, ``layout.csv``: bias first, kernels as Keras has them."""
    folder.mkdir(parents=True, exist_ok=True)
    foreign = Keras("unterthiner", folder)
    draw = np.random.default_rng(0)
    rows, lines = [], []
    for member in range(members):
        for step in steps:
            layers = [(draw.normal(0, 0.3, shape), draw.normal(0, 0.3, shape[-1])) for _, shape in LAYERS]
            layers = [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel, bias in layers]
            foreign.kernels[f"model_{member}", step] = layers
            rows.append(np.concatenate([part for kernel, bias in layers for part in (bias, kernel.reshape(-1))]))
            ours = [
                part for kernel, bias in layers for part in (np.moveaxis(kernel, (-1, -2), (0, 1)).reshape(-1), bias)
            ]
            foreign.states[f"model_{member}", step] = np.concatenate(ours)
            accuracy = 0.1 + 0.01 * member + step / 200
            foreign.accuracies[f"model_{member}", step] = accuracy
            lines.append(
                f"relu,zeros,mnist,cnn,{0.1 * member},86,20,0.05,1e-05,0.003,3,16,adam,42,0.5,he_normal,"
                f"/cns/home/run/model_{member},{step},{accuracy},0.4,{accuracy + 0.02},0.3"
            )
    names = [
        *("activation", "b_init", "dataset", "dnn_architecture", "dropout", "epochs", "epochs_between_checkpoints"),
        *("init_std", "l2reg", "learning_rate", "num_layers", "num_units", "optimizer", "random_seed"),
        *("train_fraction", "w_init"),
    ]
    measured = ["modeldir", "step", "test_accuracy", "test_loss", "train_accuracy", "train_loss"]
    header = ",".join([*(f"config.{name}" for name in names), *measured])
    (folder / "metrics.csv.gz").write_bytes(gzip.compress("\n".join([header, *lines, ""]).encode()))
    np.save(folder / "weights.npy", np.stack(rows))
    table, start = ["varname,start_idx,end_idx,shape"], 0
    for name, shape in LAYERS:
        for leaf, size, text in (("bias", shape[-1], f"({shape[-1]},)"), ("kernel", int(np.prod(shape)), str(shape))):
            table.append(f'sequential/{name}/{leaf}:0,{start},{start + size},"{text}"')
            start += size
    (folder / "layout.csv").write_text("\n".join([*table, ""]))
    return foreign


def write_files(folder: Path, members: int = 3, epochs: Sequence[int] = (5, 10)) -> Foreign:
    """State files, safetensors and ``torch.save`` mixed, with a table."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    foreign = Foreign("files", folder)
    lines = ["file,member,epoch,lr,activation,test_accuracy,val_acc"]
    for member in range(members):
        for epoch in epochs:
            state = make_state(100 * member + epoch)
            name = f"m{member}-{epoch}.{'pt' if epoch == epochs[0] else 'safetensors'}"
            if name.endswith("pt"):
                torch.save({"state_dict": state}, folder / name)
            else:
                save_file(dict(state), folder / name)
            accuracy = 0.3 + 0.01 * member
            lines.append(f"{name},m{member},{epoch},{10.0**-member},tanh,{accuracy},0.2")
            foreign.states[f"m{member}", epoch] = flat(state)
            foreign.accuracies[f"m{member}", epoch] = accuracy
    (folder / "table.csv").write_text("\n".join([*lines, ""]))
    return foreign


def write_hub(folder: Path, members: int = 2) -> Foreign:
    """Checkpoints as Hugging Face lays them out: one whole and pickled, the others in two safetensors shards."""
    from safetensors.torch import save_file

    foreign = Foreign("hub", folder)
    for member in range(members):
        place = folder / f"checkpoint-{member}"
        place.mkdir(parents=True)
        torch.manual_seed(member)
        network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
        state = dict(network.state_dict())
        (place / "config.json").write_text(json.dumps({"model_type": "tiny", "hidden_size": 3, "seed": member}))
        if member == 0:
            torch.save(state, place / "pytorch_model.bin")
        else:
            parts = {"model-00001.safetensors": list(state)[:2], "model-00002.safetensors": list(state)[2:]}
            for file, names in parts.items():
                save_file({name: state[name] for name in names}, place / file)
            index = {"weight_map": {name: file for file, names in parts.items() for name in names}}
            (place / "model.safetensors.index.json").write_text(json.dumps(index))
        foreign.states[f"checkpoint-{member}", 1] = flat(state)
    return foreign


WRITERS: dict[str, Callable[[Path], Foreign]] = {
    "tune": write_tune,
    "pt": write_pt,
    "unterthiner": write_unterthiner,
    "files": write_files,
    "hub": write_hub,
}
