"""Measure geozoo beside its baselines and write ``RESULTS.md``.

    python -m tests.benchmarks                  # all that take minutes: what `make bench` runs
    python -m tests.benchmarks engines reading  # some of them
    python -m tests.benchmarks scale_50000      # minutes to half an hour, like mnist_cnn_1k: only by name
    python -m tests.benchmarks browsing         # the zoo browser, where a Chromium is installed
    python -m tests.benchmarks page             # only the page, from results/*.json

Real images are read below ``GEOZOO_DATA`` (MNIST, EuroSAT, TerraMind); the tetris images are made. ``gpu`` uses a GPU
where there is one and says "cpu" otherwise.
"""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

from geozoo.errors import GeozooError
from tests.benchmarks.results import write_page

if TYPE_CHECKING:
    from collections.abc import Callable


def _from_module(name: str, *arguments: Any) -> None:
    importlib.import_module(f"tests.benchmarks.{name}").measure(*arguments)


ORDINARY = (
    "engines",
    "compiling",
    "populating",
    "streaming",
    "reading",
    "loading",
    "weight_data",
    "data_wait",
    "chip_reads",
    "chip_wait",
    "gpu",
    "scale_1000",
)
BENCHMARKS: dict[str, Callable[[], None]] = {
    **{name: partial(_from_module, name) for name in ORDINARY if not name.startswith("scale")},
    **{f"scale_{members}": partial(_from_module, "scale", members) for members in (1_000, 10_000, 50_000)},
    **{name: partial(_from_module, "working_zoos", name) for name in ("mnist_cnn_1k", "eurosat_cnn_1k")},
    "browsing": partial(_from_module, "browsing"),
    "page": lambda: None,
}


def main() -> None:
    """Run the benchmarks named, or the ordinary ones, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    chosen = parser.parse_args().names or ORDINARY
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}: choose from {', '.join(BENCHMARKS)}")
    for name in chosen:
        print(f"== {name}", flush=True)
        try:
            BENCHMARKS[name]()
        except GeozooError as error:
            parser.exit(2, f"{error}\n")
        write_page()


if __name__ == "__main__":
    main()
