"""Small zoos of simulated data: random weights and invented metrics, stored as a real zoo is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from geozoo.nets.layout import Layout, TensorSlot, num_parameters
from geozoo.store import Attempt, Commit, Zoo, ZooHeader, create_zoo
from geozoo.store.shards import MAX_SHARD_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLASSES = 10
SIZE = 28

CNN_S_SHAPES = {
    "module_list.0.weight": (8, 1, 5, 5),
    "module_list.0.bias": (8,),
    "module_list.3.weight": (6, 8, 5, 5),
    "module_list.3.bias": (6,),
    "module_list.6.weight": (4, 6, 2, 2),
    "module_list.6.bias": (4,),
    "module_list.9.weight": (20, 36),
    "module_list.9.bias": (20,),
    "module_list.11.weight": (CLASSES, 20),
    "module_list.11.bias": (CLASSES,),
}


@dataclass(frozen=True)
class Truth:
    """What was put into a zoo: weights ``[members, checkpoints, params]`` and metrics, rows as in ``zoo.members``."""

    weights: np.ndarray[Any, Any]
    metrics: pd.DataFrame


def make_layout(shapes: dict[str, tuple[int, ...]] | None = None) -> Layout:
    """Layout of a network by its tensors' shapes; the default is that of the network ``cnn_s``."""
    slots: list[TensorSlot] = []
    offset = 0
    shapes_of = shapes or CNN_S_SHAPES
    for name, shape in shapes_of.items():
        role: Literal["weight", "bias"] = "bias" if name.endswith("bias") else "weight"
        kind = "conv2d" if len(shapes_of[name.replace("bias", "weight")]) == 4 else "linear"
        slots.append(TensorSlot(name=name, kind=kind, role=role, shape=shape, offset=offset))
        offset += slots[-1].size
    return tuple(slots)


def make_plan(
    members: int = 12, cohorts: int = 3, *, seed: int = 0, number: int = 0, shuffle: bool = False
) -> pd.DataFrame:
    """Plan table of simulated members, dealt to ``cohorts`` in turn; ids depend on ``seed`` and ``number`` alone."""
    draw = np.random.default_rng([seed, number])
    ids = [hashlib.sha256(f"{seed}/{number}/{member}".encode()).hexdigest()[:16] for member in range(members)]
    plan = pd.DataFrame(
        {
            "member": ids,
            "cohort": [f"{number}-{member % cohorts:03d}" for member in range(members)],
            "position": [member // cohorts for member in range(members)],
            "seed": np.arange(members, dtype=np.int64),
            "activation": "tanh",
            "init": draw.choice(["uniform", "normal", "kaiming_uniform"], members),
            "init_std": draw.choice([0.1, 0.3, 0.5], members),
            "optimizer": "adam",
            "lr": 10.0 ** draw.uniform(-4, -2, members),
            "weight_decay": draw.choice([0.0, 1e-4, 1e-3], members),
            "momentum": 0.9,
            "dropout": draw.choice([0.0, 0.3, 0.5], members),
            "batch_size": np.full(members, 16, dtype=np.int64),
        }
    )
    return plan.sample(frac=1, random_state=seed, ignore_index=True) if shuffle else plan


def make_header(
    checkpoints: Sequence[int] = (0, 1, 2),
    *,
    layout: Layout | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    name: str = "simulated",
) -> ZooHeader:
    """Header of a simulated zoo."""
    return ZooHeader(
        name=name,
        recipe={"name": name, "network": {"name": "cnn_s"}, "training": {"epochs": max(checkpoints), "lr": 1e-3}},
        dataset={
            "name": "simulated",
            "fingerprint": hashlib.sha256(b"simulated").hexdigest(),
            "channels": 1,
            "size": SIZE,
            "classes": [str(digit) for digit in range(CLASSES)],
            "mean": [0.0],
            "std": [1.0],
            "splits": {"train": 1000, "validation": 200, "test": 200},
        },
        layout=layout or make_layout(),
        checkpoints=tuple(checkpoints),
        dtype=dtype,
        engine="reference",
    )


def make_weights(
    members: Sequence[str], checkpoints: Sequence[int], params: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Simulated weights ``[members, checkpoints, params]``: a start drawn by member id, drifting by epoch."""
    rows = []
    for member in members:
        draw = np.random.default_rng(int(member, 16))
        start, drift = draw.normal(0, 0.1, params), draw.normal(0, 0.02, params)
        rows.append([start + np.sqrt(epoch) * drift for epoch in checkpoints])
    return np.asarray(rows, dtype=np.float32)


def make_metrics(members: Sequence[str], epoch: int) -> dict[str, np.ndarray[Any, Any]]:
    """Simulated metrics ``{name: [members]}`` of one epoch: accuracies rise from chance to each member's own best."""
    draws = [np.random.default_rng([int(member, 16), 1]).uniform(size=3) for member in members]
    best, speed, spread = np.asarray(draws).T
    progress = 1 - np.exp(-(0.3 + speed) * epoch)
    train = 1 / CLASSES + (0.6 + 0.35 * best - 1 / CLASSES) * progress
    gap = 0.05 * spread * progress
    running = train - 0.02 if epoch else np.full(len(members), np.nan)
    metrics = {"generalization_gap": gap, "running_generalization_gap": running - (train - gap)}
    for name, accuracy in {"train": train, "validation": train - 0.9 * gap, "test": train - gap}.items():
        metrics |= {f"{name}_accuracy": accuracy, f"{name}_loss": -np.log(accuracy)}
    metrics |= {"running_train_accuracy": running, "running_train_loss": -np.log(running)}
    return metrics | {"finite": np.ones(len(members), dtype=bool)}


def write_cohort(
    zoo: Zoo, cohort: str, *, max_shard_bytes: int = MAX_SHARD_BYTES, commit: bool = True
) -> Commit | None:
    """Write one cohort of a simulated zoo, as an engine would feed it; without ``commit`` it stops just before."""
    rows = zoo.members[zoo.members["cohort"] == cohort].sort_values("position")
    members = list(rows["member"])
    weights = make_weights(members, zoo.checkpoints, num_parameters(zoo.layout))
    attempt = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=max_shard_bytes)
    for number, epoch in enumerate(zoo.checkpoints):
        attempt.append(epoch, weights[:, number], make_metrics(members, epoch))
    return attempt.commit({"engine": "simulated", "wall_seconds": 1.0}) if commit else None


def make_truth(zoo: Zoo) -> Truth:
    """What :func:`write_cohort` puts into a zoo, put together without the store."""
    members = list(zoo.members["member"])
    weights = make_weights(members, zoo.checkpoints, num_parameters(zoo.layout)).astype(zoo.header.dtype)
    tables = [
        pd.DataFrame({"member": members, "epoch": epoch, **make_metrics(members, epoch)}) for epoch in zoo.checkpoints
    ]
    order = pd.concat(tables).assign(row=np.tile(np.arange(len(members)), len(tables))).sort_values(["row", "epoch"])
    names = sorted(make_metrics(members, 0))
    return Truth(weights, order[["member", "epoch", *names]].reset_index(drop=True))


def make_zoo(
    url: str | Path,
    *,
    members: int = 12,
    cohorts: int = 3,
    checkpoints: Sequence[int] = (0, 1, 2),
    layout: Layout | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    seed: int = 0,
    shuffle: bool = False,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> tuple[Zoo, Truth]:
    """A finished zoo of simulated data and what is in it."""
    header = make_header(checkpoints, layout=layout, dtype=dtype)
    zoo = create_zoo(url, header, make_plan(members, cohorts, seed=seed, shuffle=shuffle))
    for cohort in zoo.members["cohort"].unique():
        write_cohort(zoo, cohort, max_shard_bytes=max_shard_bytes)
    finished = create_zoo(url, header, make_plan(members, cohorts, seed=seed, shuffle=shuffle))
    return finished, make_truth(finished)
