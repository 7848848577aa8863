"""Write EUROSAT.md and its figures from results/: ``python experiments/ssl/eurosat.py``.

The results are what the commands in README.md print with ``--json``, without the URL of the model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geozoo.report.sweep_view import sweep_figure, sweep_markdown
from geozoo.ssl.downstream.table import Table

FOLDER = Path(__file__).parent
PAGE = FOLDER / "EUROSAT.md"
SPLITS = {
    "random": "The random split: tiles drawn at random",
    "shift": "The shift split: clusters of colour statistics held out whole",
}
INTRODUCTION = """# EuroSAT RGB: what labels are worth, with and without pre-training

Written by `python experiments/ssl/eurosat.py` from `results/`; the commands are in README.md. 10,000 tiles, a thousand
a class. Test accuracy in %, mean±sample deviation over five seeds (of the labelled subset, the heads and the order of
batches; there is one pre-training a split, and its own spread is not in the numbers). Every row has the same
augmentation and as many updates, 300 of 64 tiles, which are fewer than three passes over all labels: networks trained
to the end score more there. Its learning rate was chosen on validation tiles, now and then at an end of its grid. The
last line is paired by seed: the better of probe and fine-tuning by validation, minus training from scratch, with a
95 % interval by Student's t."""
BATCH = """Ten epochs of the same pre-training on {device}, the learning rate in proportion to the square root of the
batch (`python experiments/ssl/batch_sizes.py`); a linear probe on 2 % and 10 % of the labels of the random split.
Memory is the peak of all tensors on a GPU, of the whole process without one."""


def page(results: Path = FOLDER / "results") -> str:
    """The page: a table for every split that has results, and one of batch sizes."""
    parts = [INTRODUCTION]
    for split, title in SPLITS.items():
        if (about := read(results / f"eurosat_labels_{split}.json")) is None:
            continue
        trained = json.loads((results / f"eurosat_simclr_{split}.json").read_text(encoding="utf-8"))
        table = table_of(about)
        hours = sum(cell.seconds for cell in table.cells) / 3600
        parts += [
            f"## {title}",
            f"SimCLR on the training tiles: {trained['epochs']} epochs in {duration(trained['seconds'])} on "
            f"{trained['device']}; "
            f"nearest neighbours on validation tiles {100 * trained['kept']['validation_knn']:.1f} %. "
            f"Rows of the table, one after the other: {hours:.1f} hours. Test tiles: {about['test_chips']:,}.",
            sweep_markdown(table),
            f"![Accuracy by labels, {split} split](eurosat_{split}.svg)",
        ]
    if sizes := read(results / "eurosat_batch_sizes.json"):
        parts += [
            "## Batch size",
            BATCH.format(device=sizes["device"]),
            batch_table(sizes["sizes"]),
            "![Batch size](eurosat_batch_sizes.svg)",
        ]
    return "\n\n".join(parts) + "\n"


def duration(seconds: float) -> str:
    """In minutes, or seconds where there are few."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def batch_table(sizes: dict[str, Any]) -> str:
    """One line a batch size."""
    lines = [
        "| batch | memory, MiB | seconds | nearest neighbours, % | probe, 2 % | probe, 10 % |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, one in sizes.items():
        probes = [f"{100 * one[share][0]:.1f}±{100 * one[share][1]:.1f}" for share in ("0.02", "0.1")]
        cells = [size, f"{one['memory']:,}", f"{one['seconds']:.0f}", f"{100 * one['knn']:.1f}", *probes]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def batch_figure(sizes: dict[str, Any], path: Path) -> None:
    """Accuracy of the probe and peak memory against the batch size, side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    batches = [int(size) for size in sizes]
    for share, name in (("0.1", "10 % of labels"), ("0.02", "2 % of labels")):
        means, deviations = zip(*(one[share] for one in sizes.values()), strict=True)
        left.errorbar(
            batches, [100 * one for one in means], [100 * one for one in deviations], marker="o", capsize=2, label=name
        )
    left.set_ylabel("test accuracy of a linear probe (%)")
    left.legend(fontsize=8)
    right.plot(batches, [one["memory"] for one in sizes.values()], marker="o")
    right.set_ylabel("peak memory (MiB)")
    right.set_ylim(0)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xlabel("batch size")
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def read(path: Path) -> dict[str, Any] | None:
    """A result, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table_of(about: dict[str, Any]) -> Table:
    """The table in what ``geozoo sweep --json`` printed."""
    return Table.model_validate_json(json.dumps({name: about[name] for name in Table.model_fields}))


def main() -> None:
    """Write the page and its figures."""
    results = FOLDER / "results"
    PAGE.write_text(page(), encoding="utf-8")
    for split, title in SPLITS.items():
        if about := read(results / f"eurosat_labels_{split}.json"):
            sweep_figure(table_of(about), FOLDER / f"eurosat_{split}.svg", f"EuroSAT RGB. {title}")
    if sizes := read(results / "eurosat_batch_sizes.json"):
        batch_figure(sizes["sizes"], FOLDER / "eurosat_batch_sizes.svg")


if __name__ == "__main__":
    main()
