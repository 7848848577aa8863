"""A zoo of ResNet-18 whose process is killed in its second epoch: it goes on from there, to the same digest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from torchvision.models import resnet18

from geozoo.population.single import Single
from geozoo.store import open_zoo
from tests.support.commands import Outcome, geozoo
from tests.support.runs import environment

if TYPE_CHECKING:
    from torch import Tensor

REAL = Path(os.environ.get("GEOZOO_DATA", "")) / "eurosat_rgb"
FEW = {"train": 24, "validation": 8, "test": 8}
RECIPE: dict[str, Any] = {
    "name": "resnet18_four",
    "dataset": {"name": "eurosat", "size": 32, "limits": FEW},
    "network": {"name": "resnet18"},
    "population": {
        "grid": {
            "activation": "relu", "init": "kaiming_uniform", "optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4,
            "momentum": 0.9, "batch_size": 8,
        },
        "seeds": {"kind": "fixed", "first": 1, "count": 4},
    },
    "training": {
        "epochs": 2, "checkpoints": {"every": 1, "first": 1}, "schedule": "onecycle", "augmentation": "crop_flip",
    },
    "evaluation": FEW,
}  # fmt: skip
COHORT = "0-001"
"""The second of four cohorts, one a member."""

KILLED_IN_THE_SECOND_EPOCH = """
import os, signal, sys, time
from pathlib import Path
import geozoo.store.writer as writer
from geozoo.population.single import Single

url, cohort, *arguments = sys.argv[1:]
writer.RESUME_SECONDS = 0
train_on = Single._train_on

def killed(self, rows, epoch, step):
    if (epoch, step) == (2, 1) and list(Path(url).glob(f"cohorts/{cohort}-*")):
        while not list(Path(url).glob(f"cohorts/{cohort}-*/resume/000001.json")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    train_on(self, rows, epoch, step)

Single._train_on = killed
from geozoo.cli.main import main
main(["populate", *arguments])
"""
"""``geozoo populate``, which kills itself in the middle of a cohort's second epoch, once its point is written."""

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs the real EuroSAT: set GEOZOO_DATA to a folder with eurosat_rgb/"
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "four.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the zoo that nothing happened to; nobody writes to it afterwards."""
    url = str(tmp_path_factory.mktemp("undisturbed"))
    assert populate(recipe, url).code == 0
    return url


@pytest.fixture(scope="module")
def left_behind(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of what the killed process left; nobody writes to it afterwards."""
    url = str(tmp_path_factory.mktemp("left") / "zoo")
    code = [sys.executable, "-c", KILLED_IN_THE_SECOND_EPOCH, url, COHORT, recipe, "--to", url, "--local"]
    run = subprocess.run(code, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == -9, run.stderr
    return url


@pytest.fixture
def killed(left_behind: str, tmp_path: Path) -> str:
    return str(shutil.copytree(left_behind, tmp_path / "zoo"))


def populate(recipe: str, url: str, *more: str) -> Outcome:
    return geozoo("populate", recipe, "--to", url, "--local", *more)


def points(url: str) -> list[Path]:
    return sorted(Path(url).glob("cohorts/*/resume/*"))


@pytest.fixture
def epochs_trained(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Which epochs this process trains, by seed."""
    train_on, trained = Single._train_on, dict[int, set[int]]()

    def noted(self: Single, rows: Tensor, epoch: int, step: int) -> None:
        trained.setdefault(int(self.seeds[0]), set()).add(epoch)
        train_on(self, rows, epoch, step)

    monkeypatch.setattr(Single, "_train_on", noted)
    return trained


def test_a_killed_zoo_goes_on_in_its_second_epoch_to_the_same_digest(
    recipe: str, undisturbed: str, killed: str, epochs_trained: dict[int, set[int]]
) -> None:
    assert [path.name for path in points(killed)] == ["000001.json", "000001.safetensors"]
    kinds = [finding["kind"] for finding in json.loads(geozoo("verify", killed, "--json").out)["findings"]]
    assert [kind for kind in kinds if kind != "stale run"] == ["planned but uncommitted"] * 3 + ["resume point"]
    collected = geozoo("gc", killed, "--force").out
    assert "kept to go on from: cohorts/0-001-" in collected
    assert len(points(killed)) == 2
    outcome = populate(recipe, killed)
    assert outcome.code == 0, outcome.err
    assert "resume points: 0-001 after epoch 1." in outcome.err
    assert "cohort 0-001 goes on after epoch 1." in outcome.err
    assert sorted(epochs_trained.values(), key=len) == [{2}, {1, 2}, {1, 2}]
    assert outcome.out.split() == ["digest", open_zoo(undisturbed).digest()]
    assert json.loads(geozoo("verify", killed, "--digest", "--json").out)["clean"]
    how = open_zoo(killed).commits()[COHORT].how
    assert (how["went_on_after"], how["before"]["engine"]) == (1, "torch")


def test_a_damaged_resume_point_is_passed_over_in_a_sentence(
    recipe: str, undisturbed: str, killed: str, epochs_trained: dict[int, set[int]]
) -> None:
    (path,) = (path for path in points(killed) if path.suffix == ".safetensors")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    outcome = populate(recipe, killed)
    assert outcome.code == 0
    told = " ".join(outcome.err.split())
    assert "cohort 0-001 cannot go on from the resume point cohorts/0-001-" in told
    assert "it is passed over." in told
    assert list(epochs_trained.values()) == [{1, 2}] * 3
    assert open_zoo(killed).digest() == open_zoo(undisturbed).digest()
    assert "cannot go on" in open_zoo(killed).commits()[COHORT].how["notes"][0]


def test_a_state_loads_strictly_into_torchvisions_network_and_answers_as_ours(undisturbed: str) -> None:
    zoo = open_zoo(undisturbed)
    state = zoo.state_dict(2, epoch=2)
    theirs = resnet18(num_classes=10)
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state, strict=True)
    images = torch.randn(5, 3, 32, 32)
    ours = zoo.module(2, epoch=2)
    assert torch.equal(theirs.eval()(images), ours(images))
    batches = {int(value) for name, value in state.items() if name.endswith("num_batches_tracked")}
    assert batches == {2 * 3}
    assert {int(ours.bn1.num_batches_tracked), int(zoo.state_dict(2, epoch=1)["bn1.num_batches_tracked"])} == {6, 3}
    assert not torch.equal(state["bn1.running_mean"], torch.zeros(64))
