"""A search on one shared Ray cluster, its driver and a worker killed: every trial ends once, none is trained twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
import ray

from geozoo.cluster.session import ray_session
from geozoo.hyper.experiment import load_experiment
from geozoo.hyper.fit import run_experiment
from geozoo.hyper.search import with_settings
from geozoo.hyper.trained import open_model
from geozoo.hyper.trials import Trial, read_trials, trial_url
from geozoo.store import open_location
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.support import runs
from tests.support.commands import geozoo
from tests.support.experiments import write_experiment
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.s3 import S3Server

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
TRIALS, EPOCHS = 4, 3


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[str]:
    """Of a cluster that this process has joined, and whose workers reach the S3 server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.setenv("GEOZOO_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("OMP_NUM_THREADS", "1")
        with ray_session(None):
            yield ray.get_runtime_context().gcs_address


def kill_one_trial(killed: list[int], over: threading.Event) -> None:
    """SIGKILL the first worker of this process's cluster that trains a trial."""
    while not over.wait(0.02):
        for worker in runs.training_workers(os.getpid())[:1]:
            worker.send_signal(signal.SIGKILL)
            killed.append(worker.pid)
            return


def ends(url: str) -> dict[int, Trial]:
    return {trial.number: trial for trial in read_trials(open_location(url)) if trial.state != "running"}


def weights_of(url: str, number: int) -> bytes:
    return open_location(trial_url(url, number)).read("checkpoint.pt")


def test_a_killed_search_goes_on_and_a_finished_one_grows(address: str, tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", members=40, cohorts=2, checkpoints=(0, 1))[0].url
    axes = {
        "optimizer.lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-3},  # at 3e-2 rounding grows to percents
        "model.latent": {"kind": "choice", "values": [3, 4]},
    }
    file = write_experiment(
        tmp_path,
        zoo,
        training={"epochs": EPOCHS, "batch_size": 2, "precision": "float64"},
        search={"axes": axes, "trials": TRIALS},
    )
    url = str(tmp_path / "search")
    command = ("tune", file, "--to", url, "--concurrent", "2")
    driver = subprocess.Popen(
        runs.geozoo(*command, "--address", address), env=runs.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert runs.wait_until(lambda: ends(url) or driver.poll() is not None)
    driver.kill()
    driver.wait()
    before = ends(url)
    assert 1 <= len(before) < TRIALS
    kept = {number: weights_of(url, number) for number in before}

    killed: list[int] = []
    over = threading.Event()
    killer = threading.Thread(target=kill_one_trial, args=(killed, over))
    killer.start()
    outcome = geozoo(*command, "--json")
    over.set()
    killer.join()
    assert killed
    assert outcome.code == 0, outcome.err
    after = ends(url)
    assert sorted(after) == [1, 2, 3, 4]
    assert {number: after[number] for number in before} == before
    assert {number: weights_of(url, number) for number in before} == kept
    assert "finished" in {trial.state for trial in after.values()} <= {"finished", "stopped"}
    assert all((trial.epochs == EPOCHS) == (trial.state == "finished") for trial in after.values())

    found: dict[str, Any] = json.loads(outcome.out)
    finished = {trial.value: trial for trial in after.values() if trial.state == "finished"}
    best = finished[min(finished)]  # type: ignore[type-var]
    assert found["best"] == {"trial": best.number, "validation_loss": best.value, "settings": best.settings}
    model = open_model(found["url"])
    alone = with_settings(load_experiment(file), best.settings, "it")
    run_experiment(alone, str(tmp_path / "alone"), World(), Watch())
    losses = [record["validation_loss"] for record in open_model(tmp_path / "alone").card.history]
    assert [record["validation_loss"] for record in model.card.history] == pytest.approx(losses, rel=1e-4)
    assert model.card.experiment == alone

    again = geozoo(*command, "--json")
    assert json.loads(again.out)["best"] == found["best"]
    grown = geozoo(*command, "--json", "--trials", TRIALS + 1)
    assert grown.code == 0, grown.err
    assert sorted(ends(url)) == [1, 2, 3, 4, 5]
    assert {number: trial for number, trial in ends(url).items() if number <= TRIALS} == after


@pytest.mark.usefixtures("address")
def test_settings_that_do_not_go_together_fail_their_trial_alone(tmp_path: Path, s3_server: S3Server) -> None:
    """On S3."""
    zoo = make_zoo(tmp_path / "zoo", members=40, cohorts=2, checkpoints=(0, 1))[0].url
    axes = {"model.heads": {"kind": "choice", "values": [2, 3]}}
    file = write_experiment(tmp_path, zoo, training={"epochs": 1}, search={"axes": axes, "trials": 2})
    url = f"s3://{s3_server.bucket}/search"
    outcome = geozoo("tune", file, "--to", url, "--json")
    assert outcome.code == 0, outcome.err
    states = {trial.settings["model.heads"]: trial for trial in read_trials(open_location(url))}
    assert (states[2].state, states[3].state) == ("finished", "failed")
    assert "heads" in (states[3].error or "")
    found = json.loads(outcome.out)
    assert found["trials"] == {"finished": 1, "stopped": 0, "failed": 1}
    assert open_model(found["url"]).card.history[0]["validation_loss"] == found["best"]["validation_loss"]
