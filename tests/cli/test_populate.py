"""``geozoo populate`` in one process: idempotent, extended, refused for another zoo, mended after a failure."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import geozoo.populate
from geozoo.store.backends import LocalBackend
from tests.support.commands import DIGITS, Outcome, populate_digits
from tests.support.commands import geozoo as run_geozoo
from tests.support.images import draw_mnist, write_mnist

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS = 4
"""Few, and in two cohorts or more."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``--json`` says about a zoo that nothing happened to; nobody writes to it afterwards."""
    outcome = populate_digits(tmp_path_factory.mktemp("undisturbed"), MEMBERS, "--json")
    assert outcome.code == 0, outcome.err
    return dict(json.loads(outcome.out))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "zoo")


def digest(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.err
    word, value = outcome.out.split()
    assert word == "digest"
    return value


def complaint(outcome: Outcome) -> str:
    """The one sentence of a run that failed after it had told about itself."""
    lines = outcome.err.splitlines()
    assert [line for line in lines if line.startswith("geozoo: ")] == lines[-1:]
    assert "Traceback" not in outcome.err
    return lines[-1]


def objects(url: str) -> dict[str, bytes]:
    return {str(path.relative_to(url)): path.read_bytes() for path in Path(url).rglob("*") if path.is_file()}


def findings(url: str) -> list[str]:
    """The kinds of what ``verify`` finds."""
    return [finding["kind"] for finding in json.loads(run_geozoo("verify", url, "--json").out)["findings"]]


def cohorts(url: str) -> int:
    return int(geozoo.populate.open_zoo(url).members["cohort"].nunique())


def test_json_is_the_outcome(undisturbed: dict[str, Any]) -> None:
    assert undisturbed["members"] == MEMBERS
    assert undisturbed["states"] == MEMBERS * 2
    assert len(bytes.fromhex(undisturbed["digest"])) == 32
    assert cohorts(undisturbed["url"]) > 1
    outcome = run_geozoo("verify", undisturbed["url"], "--digest", "--json")
    assert (outcome.code, json.loads(outcome.out)["clean"]) == (0, True)


def test_a_second_run_trains_nothing(undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("geozoo.populate.train_cohort", never)
    before = objects(undisturbed["url"])
    outcome = populate_digits(undisturbed["url"], MEMBERS)
    assert digest(outcome) == undisturbed["digest"]
    assert "no cohorts to train" in outcome.err
    assert digest(populate_digits(undisturbed["url"], MEMBERS - 1)) == undisturbed["digest"]
    assert objects(undisturbed["url"]) == before


def test_more_members_extend_a_zoo(url: str) -> None:
    first = digest(populate_digits(url, 2))
    before = objects(url)
    outcome = populate_digits(url, MEMBERS, "--json")
    assert json.loads(outcome.out)["members"] == MEMBERS
    assert json.loads(outcome.out)["digest"] != first
    after = objects(url)
    assert "plans/1.parquet" in after.keys() - before.keys()
    assert {name: after[name] for name in before} == before
    assert findings(url) == []


def test_memory_in_one_process() -> None:
    assert len(digest(populate_digits("memory://populate-in-one-process", 1))) == 64
    assert run_geozoo("show", "memory://populate-in-one-process").code == 0


def test_epochs_have_a_value_there_and_here(undisturbed: dict[str, Any]) -> None:
    before = objects(undisturbed["url"])
    outcome = populate_digits(undisturbed["url"], MEMBERS, "--epochs", "3")
    assert outcome.code == 2
    assert undisturbed["url"] in outcome.complaint
    assert "training.epochs: 1 there, 3 here" in outcome.complaint
    assert "another URL" in outcome.complaint
    assert objects(undisturbed["url"]) == before


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        (["--set", "population.grid.lr=[0.5]"], "population.grid.lr: [0.001, 0.003] there, [0.5] here"),
        (["--set", "store.dtype=float16"], "store.dtype: 'float32' there, 'float16' here"),
        (["--set", "dataset.split_seed=7"], "dataset.split_seed: 42 there, 7 here"),
        (["--engine", "reference"], "engine: lanes there, reference here"),
    ],
)
def test_another_zoo_at_the_url(undisturbed: dict[str, Any], settings: list[str], difference: str) -> None:
    outcome = populate_digits(undisturbed["url"], MEMBERS, *settings)
    assert outcome.code == 2
    assert difference in outcome.complaint
    assert "another URL" in outcome.complaint


def test_auto_goes_on_with_the_engine_of_the_zoo(url: str) -> None:
    digest(populate_digits(url, 1, "--engine", "reference"))
    outcome = populate_digits(url, 2)
    assert outcome.code == 0
    assert "engine reference" in outcome.err


def test_other_images_under_the_same_recipe(url: str, tmp_path: Path) -> None:
    for folder, count in (("here", 60), ("there", 66)):
        write_mnist(tmp_path / folder, draw_mnist(train=count), compress=False)

    def populate(folder: str) -> Outcome:
        dataset = f"dataset={{name: mnist, path: {tmp_path / folder}, limits: {{train: 30, validation: 10}}}}"
        evaluation = "evaluation={train: 10, validation: 10, test: 10}"
        options = ("--to", url, "--local", "--epochs", 1, "--members", 1, "--set", dataset, "--set", evaluation)
        return run_geozoo("populate", DIGITS, *options)

    digest(populate("here"))
    outcome = populate("there")
    assert outcome.code == 2
    assert "the decoded images" in outcome.complaint


def test_disk_full_in_the_middle(url: str, undisturbed: dict[str, Any]) -> None:
    write, written = LocalBackend.write, 0

    def fill_up(backend: LocalBackend, name: str, data: bytes) -> None:
        nonlocal written
        written += name.startswith("cohorts/")
        if written > 4:  # an attempt is three objects, so the second is cut off
            raise OSError(errno.ENOSPC, "No space left on device")
        write(backend, name, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalBackend, "write", fill_up)
        outcome = populate_digits(url, MEMBERS)
    assert outcome.code == 1
    assert outcome.out == ""
    sentence = complaint(outcome)
    left = cohorts(url) - 1
    assert f"{left} of {cohorts(url)} cohorts of {url} are not committed" in sentence
    assert "No space left on device" in sentence
    assert "run the same command again" in sentence
    assert findings(url) == ["planned but uncommitted"] * left
    there = {name: data for name, data in objects(url).items() if name.startswith(("commits/", "cohorts/"))}
    assert digest(populate_digits(url, MEMBERS)) == undisturbed["digest"]
    assert there.items() <= objects(url).items()
    assert findings(url) == []


def test_interrupt_in_the_middle(url: str, undisturbed: dict[str, Any]) -> None:
    train, started = geozoo.populate.train_cohort, 0

    def interrupted(*arguments: Any) -> Iterator[Any]:
        nonlocal started
        started += 1
        for progress in train(*arguments):
            yield progress
            if started == 2 and progress.samples:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geozoo.populate.train_cohort", interrupted)
        outcome = populate_digits(url, MEMBERS)
    assert outcome.code == 130
    assert outcome.out == ""
    assert f"run the same command again to finish {url}" in complaint(outcome)
    assert set(findings(url)) == {"planned but uncommitted"}
    assert len(findings(url)) == cohorts(url) - 1
    assert digest(populate_digits(url, MEMBERS)) == undisturbed["digest"]
