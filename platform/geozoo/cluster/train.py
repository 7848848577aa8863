"""A training run on the workers of a Ray Train job."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ray
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Queue

from geozoo.errors import GeozooError, TrainingError
from geozoo.training.distributed import World
from geozoo.training.loop import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Record = dict[str, float]

MAX_FAILURES = 2


def train_with_ray(
    run: Callable[[World, Watch], object],
    folder: Path,
    on_epoch: Callable[[Record], None],
    *,
    workers: int = 1,
    gpus_per_worker: float = 0.0,
) -> None:
    """Have every worker call ``run`` with its place in the world, on the cluster this process is connected to.

    A worker that dies has all started again up to `MAX_FAILURES` times; ``run`` continues from its own checkpoints.
    Without GPUs the cores of the cluster are shared out evenly and gradients travel by gloo, with GPUs by NCCL.

    Args:
        run: what a worker does; travels there by pickle, so give a function of a module with plain arguments.
        folder: of the run; Ray Train keeps its own small files there.
        on_epoch: called here with the record of every epoch.
        workers: how many.
        gpus_per_worker: of each; below 1 several share one.

    Raises:
        GeozooError: what ``run`` raised.
        TrainingError: the workers died too often, or the cluster is too small.
    """
    cores = int(ray.cluster_resources().get("CPU", 1))
    if workers > cores:
        raise TrainingError(f"{workers} workers need as many cores, but the cluster has {cores}: lower --workers.")
    resources = {"CPU": float(max(1, cores // workers))} | ({"GPU": gpus_per_worker} if gpus_per_worker else {})
    records: Queue = Queue()
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"run": run, "records": records},
        torch_config=TorchConfig(backend="nccl" if gpus_per_worker else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=bool(gpus_per_worker), resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=folder.name, storage_path=str(folder.parent), failure_config=FailureConfig(max_failures=MAX_FAILURES)
        ),
    )
    listener = threading.Thread(target=_listen, args=(records, on_epoch), daemon=True)
    listener.start()
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _plain(error) from error
    finally:
        records.put(None)
        listener.join(timeout=10)
        records.shutdown()


def _worker(config: dict[str, Any]) -> None:
    world = World.current(str(get_device()))

    def on_epoch(record: Record) -> None:
        if world.is_first:
            config["records"].put(record)
        ray.train.report(record)

    config["run"](world, Watch(on_epoch=on_epoch))


def _listen(records: Queue, on_epoch: Callable[[Record], None]) -> None:
    while (record := records.get()) is not None:
        on_epoch(record)


def _plain(error: TrainingFailedError) -> GeozooError:
    """The error of ours that a worker raised, or one sentence about the last that it did."""
    failures = getattr(error, "worker_failures", None) or {}
    for failure in failures.values():
        cause = getattr(failure, "cause", None) or failure
        if isinstance(cause, GeozooError):
            return cause
        lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
        if lines:
            return TrainingError(f"the workers failed: {lines[-1].rstrip('.')}; run the same command again to go on.")
    return TrainingError(f"the workers failed: {' '.join(str(error).split()).rstrip('.')}.")
