"""How a cohort was trained: what a commit says beside its bytes."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from geozoo.population.engine import ENGINES

PACKAGES = ("geozoo", "torch", "timm", "numba", "numpy")


def describe_run(engine: str, *, wall_s: float, threads: int = 1) -> dict[str, Any]:
    """Engine, package versions, processor, GPU, threads and wall time (seconds) as JSON values; no host name, no user.

    ``gpu`` is the model of the one that the engine computes on, or None; what is no engine of `ENGINES` has none.
    """
    return {
        "engine": engine,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "cpu": cpu_model(),
        "gpu": gpu_model() if engine in ENGINES and ENGINES[engine].uses_gpu else None,
        "threads": threads,
        "wall_s": round(wall_s, 3),
    }


def cpu_model() -> str:
    """The processor's model name, as the operating system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_model() -> str | None:
    """The model name of the GPU that torch takes first, or None where it finds none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
