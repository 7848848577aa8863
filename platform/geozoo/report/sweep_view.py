"""The table of a sweep over label fractions, as Markdown or plain values, and its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.ssl.downstream.table import PRETRAINED, Spread, differences, tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geozoo.ssl.downstream.rows import RowResult
    from geozoo.ssl.downstream.table import Cell, Difference

NAMES = {
    "statistics": "band statistics, logistic regression",
    "random_probe": "random encoder, linear probe",
    "knn": "pre-trained, nearest neighbours",
    "probe": "pre-trained, linear probe",
    "finetune": "pre-trained, fine-tuned",
    "scratch": "trained from scratch",
}


def sweep_markdown(results: Sequence[RowResult]) -> str:
    """Test scores in percent as ``a±b`` over seeds, the best of each fraction bold; below, the paired differences."""
    cells = tabulate(results)
    fractions = sorted({cell.fraction for cell in cells})
    methods = [name for name in NAMES if any(cell.method == name for cell in cells)]
    head = [f"{100 * fraction:g} %" for fraction in fractions]
    lines = [_line("labels", head), _line("---", ["---:"] * len(head))]
    lines.append(_line("chips", [str(max(one.labels for one in cells if one.fraction == here)) for here in fractions]))
    best = {here: max(cell.test.mean for cell in cells if cell.fraction == here) for here in fractions}
    for method in methods:
        own = {cell.fraction: cell for cell in cells if cell.method == method}
        row = [_score(own[here], best[here]) if here in own else "" for here in fractions]
        lines.append(_line(NAMES[method], row))
    gains = {one.fraction: one for one in differences(results)}
    if gains:
        row = [_gain(gains[here]) if here in gains else "" for here in fractions]
        lines.append(_line("pre-trained (probe or fine-tuned) minus scratch, 95 %", row))
    return "\n".join(lines)


def sweep_values(results: Sequence[RowResult]) -> dict[str, Any]:
    """The same as plain values, with the spread over seeds of each class, their average and the overall score.

    The score of a class is None where it does not occur.
    """
    return {
        "cells": [
            {
                "method": cell.method,
                "fraction": cell.fraction,
                "labels": cell.labels,
                "updates": cell.updates,
                "mean": cell.test.mean,
                "std": cell.test.std,
                "seeds": cell.test.count,
                "overall": _spread([score.overall for score in cell.scores]),
                "average": _spread([score.average for score in cell.scores]),
                "per_class": [_spread(seeds) for seeds in zip(*(one.per_class for one in cell.scores), strict=True)],
            }
            for cell in tabulate(results)
        ],
        "differences": [vars(one) for one in differences(results)],
    }


def sweep_figure(results: Sequence[RowResult], path: str | Path, title: str) -> None:
    """Draw test score against labels, one line a method, bars of one standard deviation over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cells = tabulate(results)
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    for method, name in NAMES.items():
        own = [cell for cell in cells if cell.method == method]
        if own:
            axes.errorbar(
                [cell.labels for cell in own],
                [100 * cell.test.mean for cell in own],
                [100 * cell.test.std for cell in own],
                marker="o",
                markersize=4,
                linewidth=2 if method in (*PRETRAINED, "scratch") else 1.2,
                linestyle="-" if method in (*PRETRAINED, "scratch") else "--",
                capsize=2,
                label=name,
            )
    axes.set_xscale("log")
    axes.set_xlabel("labelled training chips")
    axes.set_ylabel("test score (%)")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)
    plt.close(figure)


def _spread(seeds: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in seeds if value is not None]
    if not known:
        return None
    spread = Spread.of(known)
    return {"mean": spread.mean, "std": spread.std}


def _line(name: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _score(cell: Cell, best: float) -> str:
    text = f"{100 * cell.test.mean:.1f}±{100 * cell.test.std:.1f}"
    return f"**{text}**" if cell.test.mean == best else text


def _gain(one: Difference) -> str:
    return f"{100 * one.mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
