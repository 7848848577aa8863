"""Training on the workers of one shared Ray cluster, disturbed in the ways it promises to stand: one loss curve."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray

from geozoo.cluster.session import ray_session
from geozoo.cluster.train import train_with_ray
from geozoo.hyper.fit import run_experiment
from geozoo.hyper.trained import open_model
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.support import runs
from tests.support.commands import geozoo
from tests.support.experiments import experiment, write_experiment
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.hyper.experiment import HyperExperiment

    Record = dict[str, float]

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
EPOCHS = 6
EXACT = {"precision": "float64", "epochs": EPOCHS, "batch_size": 3}
SGD = {"name": "sgd", "lr": 1e-5}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a cluster that this process has joined."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOZOO_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("OMP_NUM_THREADS", "1")
        with ray_session(None):
            yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of 40 simulated members at two checkpoints."""
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2, checkpoints=(0, 1))[0].url


@pytest.fixture(scope="module")
def chosen(zoo: str) -> HyperExperiment:
    return experiment(zoo, training=EXACT, optimizer=SGD)


@pytest.fixture(scope="module")
def undisturbed(chosen: HyperExperiment, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The curve of the experiment trained in this process."""
    url = str(tmp_path_factory.mktemp("undisturbed"))
    run_experiment(chosen, url, World(), Watch())
    return curve(url)


def curve(url: str) -> list[Record]:
    """The records of a trained model without their timing."""
    timing = ("seconds", "data_wait")
    return [
        {name: value for name, value in record.items() if name not in timing} for record in open_model(url).card.history
    ]


def close(curve: list[Record], other: list[Record], relative: float = 1e-9) -> None:
    assert len(curve) == len(other)
    for record, expected in zip(curve, other, strict=True):
        assert record == pytest.approx(expected, rel=relative, abs=relative)


def workers_of(pid: int) -> list[Any]:
    """Ray Train's worker processes below ``pid``."""
    return [process for process in runs.descendants(pid) if "RayTrainWorker" in " ".join(process.cmdline())]


@pytest.mark.usefixtures("address")
def test_workers_give_the_curve_of_one_process_and_tell_every_epoch(
    chosen: HyperExperiment, undisturbed: list[Record], tmp_path: Path
) -> None:
    told: list[Record] = []
    train_with_ray(partial(run_experiment, chosen, str(tmp_path / "model")), tmp_path / "run", told.append, workers=2)
    close(curve(str(tmp_path / "model")), undisturbed)
    assert told == list(open_model(tmp_path / "model").card.history)


@pytest.mark.usefixtures("address")
def test_a_killed_worker_costs_no_finished_epoch(
    chosen: HyperExperiment, undisturbed: list[Record], tmp_path: Path
) -> None:
    told: list[float] = []
    killed: list[int] = []

    def kill(record: Record) -> None:
        told.append(record["epoch"])
        if record["epoch"] == 2 and not killed:
            victim = workers_of(os.getpid())[-1]
            killed.append(victim.pid)
            victim.send_signal(signal.SIGKILL)

    train_with_ray(partial(run_experiment, chosen, str(tmp_path / "model")), tmp_path / "run", kill, workers=2)
    assert killed
    assert told == sorted(set(told))
    assert told[-1] == EPOCHS
    close(curve(str(tmp_path / "model")), undisturbed)


@pytest.mark.usefixtures("address")
def test_an_error_in_a_worker_is_the_sentence_it_is_in_one_process(zoo: str, tmp_path: Path) -> None:
    file = write_experiment(tmp_path, zoo, optimizer={"name": "sgd", "lr": 1e30}, loss={"contrast": 0.0})
    outcome = geozoo("train", file, "--to", tmp_path / "model", "--workers", 2)
    alone = geozoo("train", file, "--to", tmp_path / "alone", "--local")
    assert outcome.code == alone.code == 1
    assert outcome.err.splitlines()[-1].startswith("geozoo: the training loss of epoch 1 is ")
    assert outcome.err.splitlines()[-1].partition("lower optimizer.lr")[1]


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--workers", 999, "--workers 999 needs a core for each"), ("--gpus-per-worker", 1, "the cluster has none")],
)
def test_what_the_cluster_has_not_is_refused(zoo: str, tmp_path: Path, option: str, value: int, message: str) -> None:
    outcome = geozoo("train", write_experiment(tmp_path, zoo), "--to", tmp_path / "model", option, value)
    assert outcome.code == 2
    assert message in outcome.err.splitlines()[-1]


def test_ctrl_c_leaves_a_run_that_goes_on(address: str, zoo: str, tmp_path: Path) -> None:
    """Trained on the cluster that the command joins, interrupted, and finished in one process."""
    long = {"training": EXACT | {"epochs": 25}, "optimizer": SGD}
    file, url = write_experiment(tmp_path, zoo, **long), str(tmp_path / "model")
    driver = subprocess.Popen(
        runs.geozoo("train", file, "--to", url, "--address", address),
        env=runs.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert runs.wait_until((Path(url) / "checkpoint.pt").exists)
    os.killpg(driver.pid, signal.SIGINT)
    _, complaints = driver.communicate(timeout=60)
    assert driver.returncode == 130, complaints
    assert "run the same command again" in complaints.splitlines()[-1]
    assert geozoo("train", file, "--to", url, "--local").code == 0
    run_experiment(experiment(zoo, **long), str(tmp_path / "alone"), World(), Watch())
    # 25 epochs on one thread and on two differ by 1e-8: worker and process may have different numbers of threads.
    close(curve(url), curve(str(tmp_path / "alone")), relative=1e-6)
