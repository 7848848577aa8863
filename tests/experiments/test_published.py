"""Every experiment on weights loads, and trains three steps on a simulated zoo of its architecture."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.hyper.experiment import load_experiment
from geozoo.hyper.fit import prepare
from geozoo.nets import build_network, derive_layout
from geozoo.store import create_zoo, split_of
from geozoo.training.distributed import World
from geozoo.training.loop import Watch, fit
from tests.support.experiment_files import check_file
from tests.support.recipes import recipe_tree
from tests.support.zoos import make_header, make_plan, write_cohort
from tests.test_house import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from geozoo.training.loop import Batch, Source

EXPERIMENTS = sorted((REPOSITORY / "experiments" / "hyper").rglob("*.yaml"))
STEPS = 3
"""At least so many of the optimiser."""


@dataclass(frozen=True)
class Kind:
    """A zoo to simulate: a network on images, and the epochs that experiments ask for.

    Images are those of a set that needs no files, at the size of the network, where their channels and classes fit;
    where they do not, none are asked for, and ``dataset`` describes others.
    """

    network: str
    checkpoints: tuple[int, ...]
    images: DatasetOptions | None = None
    dataset: dict[str, Any] = dataclasses.field(default_factory=dict)


def pictures(channels: int, size: int, classes: int) -> dict[str, Any]:
    return {"channels": channels, "size": size, "classes": [str(number) for number in range(classes)]}


KINDS = {
    "tetris_mlp": Kind("tetris_mlp", (0, 1, 2), DatasetOptions(name="tetris")),
    "cnn_s": Kind("cnn_s", (0, 1, 2, 4, 7, 12, 18, 25), DatasetOptions(name="digits", size=28)),
    "cnn_s, colours": Kind("cnn_s", (0, 1, 2, 4, 7, 12, 18, 25), dataset=pictures(3, 28, 10)),
    "cnn_l": Kind("cnn_l", (*range(21, 26), *range(30, 36)), DatasetOptions(name="digits", size=32)),
    "unterthiner": Kind("unterthiner", (0, 1, 86), DatasetOptions(name="digits", size=28)),
    "resnet18, 10 classes": Kind("resnet18", (60,), dataset=pictures(3, 32, 10)),
    "resnet18, 100 classes": Kind("resnet18", (60,), dataset=pictures(3, 32, 100)),
}
ZOOS = {
    "ecd_tetris": ["tetris_mlp"],
    "ecd_mnist": ["cnn_s"],
    "ecd_fmnist": ["cnn_s"],
    "ecd_unterthiner": ["unterthiner"],
    "sane_cnn_l": ["cnn_l"],
    "sane_behaviour_cnn_l": ["cnn_l"],
    "sane_weightclip": ["cnn_l"],
    "sane_resnet18_cifar100": ["resnet18, 100 classes"],
    "sane_resnet18_multizoo": ["resnet18, 10 classes", "resnet18, 100 classes"],
    "digits": ["cnn_s"],
    "mnist": ["cnn_s"],
    "eurosat": ["cnn_s, colours"],
    "unterthiner_small": ["unterthiner"],
}
"""How the name of an experiment begins, and the zoos it is for."""

SMALLER = {
    "sane_cnn_l_cifar10": ["model.blocks=1"],
    "sane_weightclip_cnn": ["model.blocks=1"],
    "sane_resnet18_cifar100": ["model.width=64", "model.blocks=1", "states.align=false"],
    "sane_resnet18_multizoo": ["model.width=64", "model.blocks=1", "states.align=false"],
}
"""Models of 0.2 to 0.8 billion parameters take too much memory here: these run with one block on either side, those
of ResNet-18 narrower too, and without aligning networks of 11 million weights. All else is as it is, and the other
experiments run whole."""


def simulated_zoo(url: Path, kind: Kind) -> str:
    """Two members to train on and one to validate on, with random weights."""
    header = make_header(kind.checkpoints)
    update: dict[str, Any] = {"dataset": header.dataset | kind.dataset}
    update["recipe"] = header.recipe | {"network": {"name": kind.network}}
    if kind.images is not None:
        update["dataset"] = load_image_set(kind.images).describe()
        update["recipe"] = recipe_tree(network={"name": kind.network}, dataset=kind.images.model_dump(mode="json"))
    data = update["dataset"]
    shape = {"channels": data["channels"], "size": data["size"], "classes": len(data["classes"])}
    update["layout"] = derive_layout(build_network(kind.network, activation="tanh", **shape))
    plan = make_plan(24, cohorts=1)
    parts = plan["member"].map(split_of)
    chosen = [*plan.index[parts == "train"][:2], plan.index[parts == "validation"][0]]
    plan = plan.loc[chosen].assign(position=range(len(chosen)))
    write_cohort(create_zoo(url, header.model_copy(update=update), plan), plan["cohort"].iloc[0])
    return str(url)


@pytest.fixture(scope="session")
def zoo_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """URL of the simulated zoo of a kind, made when it is first asked for."""
    return cache(lambda name: simulated_zoo(tmp_path_factory.mktemp("zoos") / "zoo", KINDS[name]))


def zoos_for(name: str) -> list[str]:
    """The kinds of zoo that an experiment is for: those of the longest beginning of its name."""
    return ZOOS[max((start for start in ZOOS if name.startswith(start)), key=len)]


@dataclass(frozen=True)
class FirstBatches:
    """Of every epoch of a source, the first so many batches."""

    source: Source
    count: int

    def __len__(self) -> int:
        return self.count

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        return islice(self.source.epoch(number, first), self.count - first)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_is_what_its_file_says(path: Path) -> None:
    check_file(load_experiment(path), path)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_trains(path: Path, zoo_of: Callable[[str], str]) -> None:
    urls = [zoo_of(kind) for kind in zoos_for(path.stem)]
    epochs = -(-STEPS // len(urls))
    small = [
        f"zoo=[{', '.join(urls)}]",
        f"training.epochs={epochs}",
        "training.batch_size=2",
        *SMALLER.get(path.stem, ()),
    ]
    prepared = prepare(load_experiment(path, small), World())
    model = prepared.system.codec.model
    before = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
    job = dataclasses.replace(prepared.job, train=FirstBatches(prepared.job.train, len(urls)), validation=None)
    losses: list[float] = []
    fit(job, World(), watch=Watch(on_epoch=lambda record: losses.append(record["loss"])))
    assert len(losses) == epochs
    assert all(math.isfinite(loss) for loss in losses)
    after = dict(model.named_parameters())
    assert [name for name, weight in before.items() if torch.equal(after[name], weight)] == []
