"""``geozoo train`` and ``geozoo tune`` in this process: what they print, and what they refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.cli.results import open_results
from geozoo.errors import InputError
from geozoo.hyper.trained import open_model
from tests.support.commands import Outcome, geozoo
from tests.support.experiments import write_experiment
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from pathlib import Path

AXES = {"optimizer.lr": {"kind": "log_uniform", "low": 1e-3, "high": 1e-2}}


@pytest.fixture(autouse=True)
def _curves_in_a_scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOZOO_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of 40 simulated members at two checkpoints."""
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2, checkpoints=(0, 1))[0].url


def train(folder: Path, zoo: str, *arguments: object, **sections: Any) -> Outcome:
    """Train the tiny experiment on a zoo in this process, for an epoch."""
    file = write_experiment(folder, zoo, **{"training": {"epochs": 1}, **sections})
    return geozoo("train", file, "--to", folder / "model", "--local", *arguments)


def refusal(outcome: Outcome, code: int = 2) -> str:
    """The complaint of a command that was refused, which printed no result."""
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    return outcome.err.splitlines()[-1]


def test_a_trained_model_and_its_outcome(zoo: str, tmp_path: Path) -> None:
    outcome = train(tmp_path, zoo, "--json", "--set", "training.epochs=3")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    history = open_model(found["url"]).card.history
    assert found["epochs"] == len(history) == 3
    assert found["kept"] == min(history, key=lambda record: record["validation_loss"])
    assert "epoch 3/3: loss" in outcome.err
    assert list((tmp_path / "runs").glob("tiny-*/events.out.tfevents.*"))
    assert train(tmp_path, zoo, "--set", "training.epochs=3").out == f"{found['url']}\n"


def test_a_url_of_another_run(zoo: str, tmp_path: Path) -> None:
    assert train(tmp_path, zoo).code == 0
    assert "holds a run of other settings or another zoo" in refusal(train(tmp_path, zoo, "--set", "optimizer.lr=1"))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--set", "training.epoch=3"], ["training.epoch is not a known field", "epochs"]),
        (["--set", "model.name=gpt"], ["model", "'gpt'", "encoder_decoder"]),
        (["--set", "model.latent=0"], ["model: latent", "(got 0)"]),
        (["--set", "zoo=[]"], ["names no zoo", "--set zoo=URL"]),
        (["--set", "zoo=nowhere"], ["there is no zoo at", "nowhere"]),
        (["--set", "states.checkpoints=[7]"], ["7"]),
        (["--workers", "2"], ["--local and --workers 2 exclude each other"]),
        (["--address", "auto"], ["--local and --address auto exclude each other"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_settings_that_do_not_fit(zoo: str, tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    complaint = refusal(train(tmp_path, zoo, *arguments))
    assert all(part in complaint for part in parts), complaint


def test_a_loss_that_is_not_finite(zoo: str, tmp_path: Path) -> None:
    outcome = train(tmp_path, zoo, optimizer={"name": "sgd", "lr": 1e30}, loss={"contrast": 0.0})
    assert "the training loss of epoch 1 is" in refusal(outcome, code=1)


@pytest.mark.parametrize("header", ["zoo.json", "chips.json"])
def test_results_do_not_mix_with_a_zoo_or_chips(zoo: str, tmp_path: Path, header: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / header).write_text("{}")
    file = write_experiment(tmp_path, zoo, search={"axes": AXES})
    complaints = [
        refusal(geozoo("train", file, "--to", place, "--local")),
        refusal(geozoo("tune", file, "--to", place)),
    ]
    with pytest.raises(InputError) as refused:
        open_results(str(place))
    for complaint in (*complaints, str(refused.value)):
        assert f"place holds a {'zoo' if header == 'zoo.json' else 'chip store'} ({header}): give a folder" in complaint
    assert [path.name for path in place.iterdir()] == [header]


@pytest.mark.parametrize("command", ["train", "tune"])
def test_memory_needs_one_process(command: str, zoo: str, tmp_path: Path) -> None:
    file = write_experiment(tmp_path, zoo, search={"axes": AXES})
    complaint = refusal(geozoo(command, file, "--to", "memory://model"))
    assert "'memory://model' is visible to one process only" in complaint


def test_an_interrupt_exits_130(zoo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geozoo.hyper.fit.run_experiment", interrupt)
    assert "run the same command again to go on" in refusal(train(tmp_path, zoo), code=130)


@pytest.mark.parametrize(
    ("search", "arguments", "parts"),
    [
        (None, [], ["'tiny' has no search section", "digits_search.yaml"]),
        ({"axes": AXES}, ["--trials", "0"], ["search.trials", "(got 0)"]),
        ({"axes": AXES}, ["--trials", "x"], ["search.trials", "'x'"]),
        ({"axes": AXES}, ["--concurrent", "0"], ["concurrent"]),
        ({"axes": AXES}, ["--set", "zoo=nowhere"], ["there is no zoo at", "nowhere"]),
        ({"axes": AXES}, ["--set", "search.metric=validation_behaviour"], ["no term of the loss"]),
        ({"axes": AXES}, ["--set", "search.axes={model.rank: {kind: choice, values: [1]}}"], ["model.rank"]),
    ],
)
def test_searches_that_cannot_begin(
    zoo: str, tmp_path: Path, search: dict[str, Any] | None, arguments: list[str], parts: list[str]
) -> None:
    file = write_experiment(tmp_path, zoo, **({"search": search} if search else {}))
    complaint = refusal(geozoo("tune", file, "--to", tmp_path / "search", *arguments))
    assert all(part in complaint for part in parts), complaint


def test_a_url_of_another_search(zoo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(address: str | None) -> None:
        raise InputError("no cluster in this test")

    monkeypatch.setattr("geozoo.cluster.session.ray_session", stop)
    file = write_experiment(tmp_path, zoo, search={"axes": AXES})
    command = ("tune", file, "--to", tmp_path / "search")
    assert "no cluster in this test" in refusal(geozoo(*command))
    assert "no cluster in this test" in refusal(geozoo(*command, "--trials", 30))
    assert "holds a search of other settings" in refusal(geozoo(*command, "--set", "search.seed=1"))
