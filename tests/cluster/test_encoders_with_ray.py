"""Encoders trained, and their labels swept, on one shared Ray cluster: as in one process, also where a worker dies."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
import torch
from ray import tune

from geozoo.cluster import sweep as sweeping
from geozoo.cluster.session import ray_session
from geozoo.cluster.sweep import sweep_with_tune
from geozoo.cluster.train import train_with_ray
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.experiment import load_labels_experiment
from geozoo.ssl.downstream.rows import run_row
from geozoo.ssl.downstream.sweep import begin_sweep, plan_rows, read_rows
from geozoo.ssl.fit import run_experiment
from geozoo.ssl.trained import open_views
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.ssl.test_fit import experiment
from tests.support import runs
from tests.support.chips import make_chips
from tests.support.commands import geozoo
from tests.support.labels import write_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.ssl.downstream.rows import RowResult

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker, so that numbers are equal
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOZOO_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("OMP_NUM_THREADS", "1")
        with ray_session(None):
            yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_chips(tmp_path_factory.mktemp("little")).url


def without_time(result: RowResult) -> dict[str, Any]:
    return result.model_dump(exclude={"seconds"})


def kill_one_row(killed: list[int], over: threading.Event) -> None:
    """SIGKILL the first worker of this process's cluster that computes a row."""
    while not over.wait(0.02):
        for worker in runs.training_workers(os.getpid())[:1]:
            worker.send_signal(signal.SIGKILL)
            killed.append(worker.pid)
            return


def test_rows_are_those_of_one_process_also_where_a_worker_dies(chips: str, tmp_path: Path) -> None:
    fit = {"updates": 40, "batch_size": 8, "learning_rates": [1e-3, 1e-2]}
    chosen = load_labels_experiment(write_labels(tmp_path, chips, fit=fit))
    bench, url = open_bench(chosen), str(tmp_path / "rows")
    rows, told = begin_sweep(bench, url), []
    killed: list[int] = []
    over = threading.Event()
    killer = threading.Thread(target=kill_one_row, args=(killed, over))
    killer.start()
    errors = sweep_with_tune(chosen, rows, url, tmp_path / "run", lambda: told.append(len(told)))
    over.set()
    killer.join()
    assert killed
    assert errors == {}
    assert len(told) == len(rows) == 4
    found = {result.row.id: without_time(result) for result in read_rows(url)}
    assert found == {row.id: without_time(run_row(bench, row)) for row in rows}
    assert begin_sweep(bench, url) == []


def test_a_row_that_fails_is_named_and_the_others_stay(tmp_path: Path) -> None:
    """Chips are damaged between two rows."""
    chips = make_chips(tmp_path).url
    file, url = write_labels(tmp_path, chips, seeds=[3]), str(tmp_path / "rows")
    assert geozoo("sweep", file, "--to", url, "--set", "methods=[statistics]", "--local").code == 0
    shard = Path(chips) / "chips.zarr" / "s2" / "c" / "0" / "0" / "0" / "0"
    shard.write_bytes(bytes(shard.stat().st_size))
    outcome = geozoo("sweep", file, "--to", url)
    assert outcome.code == 1
    complaint = outcome.err.splitlines()[-1]
    assert "1 of 1 rows failed (row scratch-1-3: " in complaint
    assert "fails its checksum: ingest again elsewhere): see what ended them" in complaint
    assert [result.row.id for result in read_rows(url)] == ["statistics-1-3"]


def test_gpus_that_are_not_there_are_refused(chips: str, tmp_path: Path) -> None:
    outcome = geozoo("sweep", write_labels(tmp_path, chips), "--to", tmp_path / "rows", "--gpus-per-row", 1)
    assert outcome.code == 2
    assert "1 GPUs each cannot be given, the cluster has none" in outcome.err.splitlines()[-1]


@pytest.mark.parametrize(("gpus", "device"), [(0.0, "cpu"), (0.5, "cuda")])
def test_a_row_is_given_its_share_of_a_gpu(
    chips: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: float, device: str
) -> None:
    """On a cluster that says it has a GPU; nothing is run."""
    chosen, made = load_labels_experiment(write_labels(tmp_path, chips)), []

    def tuner(trainable: Any, **settings: Any) -> Any:
        made.append(trainable)
        return type("Nothing", (), {"fit": lambda self: []})()

    monkeypatch.setattr(tune, "Tuner", tuner)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}])
    monkeypatch.setattr(sweeping, "refuse_unreachable_nodes", lambda url: None)
    url = str(tmp_path / "rows")
    assert sweep_with_tune(chosen, plan_rows(chosen), url, tmp_path / "run", lambda: None, gpus_per_row=gpus) == {}
    (trainable,) = made
    needed = trainable.default_resource_request({}).required_resources
    assert (needed["CPU"], needed.get("GPU", 0.0)) == (1, gpus)
    opened: list[str] = []
    monkeypatch.setattr(sweeping, "open_bench", lambda experiment, device: opened.append(device))
    trainable({"row": plan_rows(chosen)[0].model_dump()})
    assert opened == [device]


def test_two_workers_train_encoders_as_one_does(chips: str, tmp_path: Path) -> None:
    chosen, told = experiment(chips), []
    train_with_ray(partial(run_experiment, chosen, str(tmp_path / "two")), tmp_path / "run", told.append, workers=2)
    run_experiment(chosen, str(tmp_path / "one"), World(), Watch())
    two, one = (open_views(tmp_path / name).card.history for name in ("two", "one"))
    assert told == list(two)
    assert len(two) == 2
    for found, expected in zip(two, one, strict=True):
        for name in ("loss", "validation_loss", "validation_knn"):
            assert found[name] == pytest.approx(expected[name], rel=1e-9), name
