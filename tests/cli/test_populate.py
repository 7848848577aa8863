"""``geozoo populate`` in this process: run, run again, extend, refuse what is other, survive failures."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo import populate as populate_module
from geozoo.store import open_zoo, verify
from tests.support.commands import DIGITS, TINY, Outcome, geozoo, populate_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from geozoo.datasets import ImageSet
    from geozoo.population import Progress
    from geozoo.store import Zoo

MEMBERS = 8


def populate(url: str | Path, *more: object, members: int = MEMBERS) -> dict[str, Any]:
    """Populate to the end and return what ``--json`` prints."""
    outcome = populate_digits(url, members, "--json", *more)
    assert outcome.code == 0, outcome.err
    printed: dict[str, Any] = json.loads(outcome.out)
    return printed


def objects(url: str | Path) -> dict[str, bytes]:
    return {file.relative_to(url).as_posix(): file.read_bytes() for file in Path(url).rglob("*") if file.is_file()}


def findings(url: str | Path) -> list[str]:
    return sorted({finding.kind for finding in verify(url, recompute_digest=True).findings})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed run prints; its zoo is only to be read."""
    return populate(tmp_path_factory.mktemp("undisturbed") / "zoo")


def test_json_is_what_the_zoo_holds(finished: dict[str, Any]) -> None:
    zoo = open_zoo(finished["url"])
    assert finished["members"] == len(zoo.members) == MEMBERS
    assert finished["states"] == MEMBERS * 2
    assert finished["digest"] == zoo.digest()
    assert finished["seconds"] > 0
    assert findings(zoo.url) == []


def test_the_digest_alone_goes_to_standard_output(finished: dict[str, Any]) -> None:
    outcome = populate_digits(finished["url"], MEMBERS)
    assert (outcome.code, outcome.out) == (0, f"digest {finished['digest']}\n")


def test_a_second_run_has_nothing_to_do(finished: dict[str, Any]) -> None:
    before = objects(finished["url"])
    outcome = populate_digits(finished["url"], MEMBERS)
    assert outcome.code == 0
    assert "no cohorts to train" in outcome.err
    assert f"complete: {MEMBERS} members" in outcome.err
    assert objects(finished["url"]) == before


def test_another_url_gives_the_same_digest(finished: dict[str, Any], tmp_path: Path) -> None:
    assert populate(tmp_path / "zoo")["digest"] == finished["digest"]


def test_memory_is_a_store_in_one_process(finished: dict[str, Any]) -> None:
    assert populate("memory://populate-test")["digest"] == finished["digest"]


def test_more_members_extend_a_zoo(tmp_path: Path) -> None:
    url = tmp_path / "zoo"
    first = populate(url, members=3)
    before, small = objects(url), open_zoo(url)
    larger = populate(url, members=5)
    zoo = open_zoo(url)
    assert larger["members"] == 5
    assert larger["digest"] != first["digest"]
    assert {name: data for name, data in objects(url).items() if name in before} == before
    assert (url / "plans" / "1.parquet").is_file()
    assert list(zoo.members["plan"].value_counts().sort_index()) == [3, 2]
    np.testing.assert_array_equal(zoo.states(list(small.members["member"]), 1), small.states([0, 1, 2], 1))
    assert findings(url) == []
    assert populate(url, members=3)["digest"] == larger["digest"]


def test_more_seeds_extend_a_zoo(tmp_path: Path) -> None:
    one_cell = ("--set", "population.grid={activation: tanh, init: uniform, optimizer: adam, lr: 1e-3}")
    seeds = "population.seeds.count="
    assert populate(tmp_path / "zoo", *one_cell, "--set", f"{seeds}2", members=2)["members"] == 2
    assert populate(tmp_path / "zoo", *one_cell, "--set", f"{seeds}4", members=4)["members"] == 4


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A zoo of one member; tests only try to write something else there."""
    url = tmp_path_factory.mktemp("other") / "zoo"
    populate(url, "--engine", "torch", members=1)
    return str(url)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        (["--epochs", "2"], "training.epochs: 1 there, 2 here"),
        (["--set", "population.grid.lr=0.5"], "population.grid.lr: [0.001, 0.003] there, [0.5] here"),
        (["--set", "training.precision=float64"], "training.precision: 'float32' there, 'float64' here"),
        (["--set", "dataset.split_seed=1"], "dataset.split_seed: 42 there, 1 here"),
        (["--set", "store.dtype=float16"], "store.dtype: 'float32' there, 'float16' here"),
        (["--set", "name=other"], "name: 'digits_cnn' there, 'other' here"),
        (["--engine", "reference"], "engine: torch there, reference here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_other_settings_are_refused(other: str, settings: list[str], difference: str) -> None:
    before = objects(other)
    outcome = populate_digits(other, 1, *settings)
    assert outcome.code == 2
    assert difference in outcome.complaint
    assert other in outcome.complaint
    assert "another URL" in outcome.complaint
    assert objects(other) == before


def test_other_images_are_refused(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from geozoo import datasets

    load = datasets.load_image_set

    def load_others(options: Any) -> ImageSet:
        from dataclasses import replace

        return replace(load(options), fingerprint="0" * 64)

    monkeypatch.setattr(datasets, "load_image_set", load_others)
    outcome = populate_digits(other, 1)
    assert outcome.code == 2
    assert "the decoded images (their fingerprints differ)" in outcome.complaint


@pytest.mark.parametrize("settings", [["--set", "title=Other"], ["--set", "provenance.source=a paper"]], ids=str)
def test_notes_may_change(other: str, settings: list[str]) -> None:
    assert populate_digits(other, 1, *settings).code == 0


def fail_after_first_commit(url: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing reach the disk any more once one cohort is committed."""
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if list(url.glob("commits/*.json")) and Path(f"/proc/self/fd/{descriptor}").resolve().is_file():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_leaves_what_is_committed(
    finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tmp_path / "zoo"
    with monkeypatch.context() as patch:
        fail_after_first_commit(url, patch)
        outcome = populate_digits(url, MEMBERS)
    cohorts = open_zoo(url).members["cohort"].nunique()
    assert outcome.code == 1
    complaint = outcome.err.splitlines()[-1]
    assert f"{cohorts - 1} of {cohorts} cohorts of {url} are not committed" in complaint
    assert "No space left on device" in complaint
    assert "run the same command again" in complaint
    assert "Traceback" not in outcome.err
    assert int(open_zoo(url).members.groupby("cohort")["committed"].all().sum()) == 1
    assert findings(url) == ["planned but uncommitted"]
    assert populate(url)["digest"] == finished["digest"]
    assert findings(url) == []


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_disk_full_from_the_start_creates_no_zoo(
    written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geozoo.store.backends import LocalBackend

    url, create_once, calls = tmp_path / "zoo", LocalBackend.create_once, iter(range(100))

    def create(self: LocalBackend, name: str, data: bytes) -> bool:
        if next(calls) >= written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create_once(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "create_once", create)
        outcome = populate_digits(url, 1)
    assert outcome.code == 2
    assert "No space left on device" in outcome.complaint
    assert str(url) in outcome.complaint
    assert populate(url, members=1)["members"] == 1


def interrupted_in_second_cohort(train: Callable[..., Iterator[Progress]]) -> Callable[..., Iterator[Progress]]:
    """Ctrl-C in the middle of the second cohort."""
    begun: list[str] = []

    def train_cohort(zoo: Zoo, cohort: str, images: ImageSet) -> Iterator[Progress]:
        begun.append(cohort)
        for progress in train(zoo, cohort, images):
            yield progress
            if len(begun) == 2 and progress.block is not None:
                raise KeyboardInterrupt

    return train_cohort


def test_an_interrupted_run_can_go_on(
    finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tmp_path / "zoo"
    with monkeypatch.context() as patch:
        patch.setattr(populate_module, "train_cohort", interrupted_in_second_cohort(populate_module.train_cohort))
        outcome = populate_digits(url, MEMBERS)
    assert outcome.code == 130
    assert "Traceback" not in outcome.err
    complaint = outcome.err.splitlines()[-1]
    assert complaint.startswith("geozoo: interrupted")
    assert "run the same command again" in complaint
    assert str(url) in complaint
    assert findings(url) == ["planned but uncommitted"]
    checked = geozoo("verify", url)
    assert checked.code == 1
    assert "planned but uncommitted" in checked.out
    assert populate(url)["digest"] == finished["digest"]
    assert geozoo("verify", url).code == 0


def test_an_interrupted_engine_leaves_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from geozoo.population import load_engine

    engine = load_engine("torch")

    class Interrupted:
        def train(self, job: Any, images: ImageSet) -> Iterator[Progress]:
            yield next(iter(engine.train(job, images)))
            raise KeyboardInterrupt

    monkeypatch.setattr(populate_module, "load_engine", lambda name: Interrupted())
    assert populate_digits(tmp_path / "zoo", 2).code == 130
    assert not list((tmp_path / "zoo" / "cohorts").rglob("*"))
    assert not list((tmp_path / "zoo" / "runs").rglob("*"))


def test_several_settings_at_once(tmp_path: Path) -> None:
    url = tmp_path / "zoo"
    settings = (
        "--set",
        "population.grid.lr=[1e-3, 2e-3]",
        "--set",
        "population.grid.optimizer=[sgd]",
        "--engine",
        "reference",
    )
    populate(url, *settings, "--set", "training.checkpoints=[1]", members=2)
    zoo = open_zoo(url)
    assert zoo.checkpoints == (1,)
    assert set(zoo.members["optimizer"]) == {"sgd"}
    assert zoo.header.engine == "reference"
    assert zoo.header.recipe["population"]["grid"]["lr"] == [0.001, 0.002]


def test_auto_goes_on_with_the_engine_of_the_zoo(tmp_path: Path) -> None:
    populate(tmp_path / "zoo", "--engine", "reference", members=1)
    populate(tmp_path / "zoo", members=2)
    assert open_zoo(tmp_path / "zoo").header.engine == "reference"


def test_progress_goes_to_standard_error(tmp_path: Path) -> None:
    outcome: Outcome = geozoo("populate", DIGITS, "--to", tmp_path / "zoo", *TINY, "--members", 2)
    assert outcome.code == 0
    assert f"zoo digits_cnn at {tmp_path / 'zoo'}: 2 members of 2464 parameters" in outcome.err
    assert "2/2 members, 4/4 states" in outcome.err
    assert outcome.out.startswith("digest ")
