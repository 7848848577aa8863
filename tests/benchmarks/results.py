"""Results of benchmarks: one small JSON file each, and the page made of them."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from geozoo.population.how import cpu_model

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent / "results"
PAGE = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("torch", "numba", "ray", "zarr", "numpy")


@dataclass(frozen=True)
class Result:
    """One table: what was measured, each row beside its baseline; ``notes`` say what both sides did.

    ``command`` are the names that measure it again, by default its own.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    command: str = ""
    machine: dict[str, str] = field(default_factory=lambda: describe_machine())

    def save(self) -> None:
        """Keep the result, and print it."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        print(self.markdown(), flush=True)

    def markdown(self) -> str:
        """The section of the page."""
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, ["---"] * len(self.columns), *self.rows)]
        machine = "; ".join(f"{key} {value}" for key, value in self.machine.items())
        parts = [
            f"## {self.title}",
            f"`python -m tests.benchmarks {self.command or self.name}`",
            "\n".join(lines),
            *self.notes,
            machine,
        ]
        return "\n\n".join(parts) + "\n"


def write_page() -> None:
    """Write `PAGE` from all results there are."""
    sections = [
        Result(**json.loads(path.read_text(encoding="utf-8"))).markdown() for path in sorted(FOLDER.glob("*.json"))
    ]
    head = (
        "# Measured\n\nWritten by `make bench` and the commands below. Figures stand beside a baseline measured in the "
        "same run; ratios are medians, with the smallest and the largest over the repeats in brackets; a baseline that "
        "wins is bold. Absolute times hold for the machine named under each table.\n"
    )
    PAGE.write_text("\n".join([head, *sections]), encoding="utf-8")


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory and versions; no names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {package: _version(package) for package in PACKAGES}
    known = {package: text for package, text in versions.items() if text}
    cores = len(os.sched_getaffinity(0))
    machine = {"processor": f"{cpu_model()}, {cores} cores", "memory": f"{memory:.0f} GB"}
    return machine | {"Python": platform.python_version()} | known


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return ""


def spread(values: Sequence[float], unit: str = "x", digits: int = 1) -> str:
    """The median, with the smallest and the largest in brackets."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle}{unit} ({low} to {high})" if len(values) > 1 else f"{middle}{unit}"


def ratios(faster: Sequence[float], slower: Sequence[float]) -> list[float]:
    """Time of the baseline over ours, pair by pair: repeats alternate, so a pair saw the same machine."""
    return [theirs / ours for ours, theirs in zip(faster, slower, strict=True)]


def baseline_cell(cell: str, faster: Sequence[float]) -> str:
    """The cell of a baseline, bold where it wins against our ``faster`` times its speed."""
    return f"**{cell}**" if median(faster) < 1 else cell


def count(value: float) -> str:
    """A rate with thousands separators, to three digits."""
    rounded: Any = float(f"{value:.3g}")
    return f"{rounded:,.0f}"
