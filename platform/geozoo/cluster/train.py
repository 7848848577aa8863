"""A training run on the workers of a Ray Train job."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ray
from ray.train import RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from geozoo.cluster import TRAIN_THREAD
from geozoo.cluster.environment import environment
from geozoo.cluster.failures import last_line
from geozoo.cluster.shares import even_share
from geozoo.errors import GeozooError, StoreLostError, TrainingError
from geozoo.training.distributed import World
from geozoo.training.loop import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = dict[str, float]

MAX_FAILURES = 2
_RAY_TRAIN = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same in a worker
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # a cluster that is busy is waited for
}


def train_with_ray(
    run: Callable[[World, Watch], object],
    folder: Path,
    on_epoch: Callable[[Record], None],
    *,
    workers: int = 1,
    gpus_per_worker: float = 0.0,
) -> None:
    """Have every worker call ``run`` with its place in the world, on the cluster this process is connected to.

    Where a worker dies all start again and ``run`` continues from its own checkpoints, unless that happens more than
    `MAX_FAILURES` times without a new epoch. An error of ours ends the job at once, since it would come again; only a
    store that failed is tried again. This is decided here and not by Ray Train, which starts again after any error.
    Without GPUs the cores of the cluster are shared out evenly and gradients travel by gloo, with GPUs by NCCL.

    Args:
        run: what a worker does; travels there by pickle, so give a function of a module with plain arguments.
        folder: of the run; Ray Train keeps its own small files there.
        on_epoch: called here, in another thread, with the record of every epoch.
        workers: how many.
        gpus_per_worker: of each; below 1 several share one.

    Raises:
        InputError: the cluster is too small.
        GeozooError: what ``run`` raised.
        TrainingError: the workers died too often.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    share = even_share(nodes, workers, gpus_per_worker, "--workers")
    failures, epochs = 0, 0

    def count(record: Record) -> None:
        nonlocal epochs
        epochs += 1
        on_epoch(record)

    with _records(count) as records, environment(_RAY_TRAIN):
        while True:
            before = epochs
            try:
                _fit_off_the_main_thread(_trainer(run, records, folder, workers, share))
            except TrainingFailedError as error:
                failures = failures + 1 if epochs == before else 1
                if (final := _final(error)) or failures > MAX_FAILURES:
                    raise (final or _plain(error)) from error
            else:
                return


def _trainer(run: Any, records: Queue, folder: Path, workers: int, share: dict[str, float]) -> TorchTrainer:
    on_gpu = "GPU" in share
    return TorchTrainer(
        _worker,
        train_loop_config={"run": run, "records": records},
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpu, resources_per_worker=share),
        run_config=RunConfig(name=folder.name, storage_path=str(folder.parent)),
    )


def _worker(config: dict[str, Any]) -> None:
    world = World.current(str(get_device()))
    tell = config["records"].put if world.is_first else lambda record: None
    config["run"](world, Watch(on_epoch=tell))


def _fit_off_the_main_thread(trainer: TorchTrainer) -> None:
    """Train in a thread of its own, where Ray Train leaves Ctrl-C alone: its handler ends this process with code 0."""
    ended: Future[None] = Future()

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(target=fit, name=TRAIN_THREAD, daemon=True).start()
    ended.result()


@contextmanager
def _records(on_epoch: Callable[[Record], None]) -> Iterator[Queue]:
    """A queue on this node; what is put there reaches ``on_epoch`` in a thread of this process."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    records = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})

    def listen() -> None:
        while (record := records.get()) is not None:
            on_epoch(record)

    listener = threading.Thread(target=listen, name="epochs", daemon=True)
    listener.start()
    try:
        yield records
    finally:
        records.put(None)
        listener.join(timeout=10)
        records.shutdown()


def _final(error: TrainingFailedError) -> GeozooError | None:
    """The error of ours that a worker raised and would raise again."""
    causes = _causes(error)
    return next((one for one in causes if isinstance(one, GeozooError) and not isinstance(one, StoreLostError)), None)


def _plain(error: TrainingFailedError) -> GeozooError:
    """One sentence about the error of a job whose workers died too often."""
    causes = _causes(error)
    lost = next((one for one in causes if isinstance(one, StoreLostError)), None)
    cause = last_line((causes or [error])[0]).rstrip(".")
    return lost or TrainingError(
        f"the workers failed {MAX_FAILURES + 1} times without a new epoch ({cause}): see what ended them, and run the "
        "same command again to go on."
    )


def _causes(error: TrainingFailedError) -> list[BaseException]:
    """What the workers raised, by rank."""
    failures = getattr(error, "worker_failures", None) or {}
    return [failures[rank] for rank in sorted(failures)]
