"""The table of a sweep over label fractions, as Markdown and its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.ssl.downstream.table import PRETRAINED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geozoo.ssl.downstream.table import Cell, Difference, Table

NAMES = {
    "statistics": "band statistics, logistic regression",
    "random_probe": "random encoder, linear probe",
    "knn": "pre-trained, nearest neighbours",
    "probe": "pre-trained, linear probe",
    "finetune": "pre-trained, fine-tuned",
    "scratch": "trained from scratch",
}


def sweep_markdown(table: Table) -> str:
    """Test scores in percent as ``a±b`` over seeds, the best of each fraction bold; below, the paired differences."""
    fractions = sorted({cell.fraction for cell in table.cells})
    head = [f"{100 * fraction:g} %" for fraction in fractions]
    lines = [_line("labels", head), _line("---", ["---:"] * len(head))]
    counts = [max(cell.labels for cell in table.cells if cell.fraction == here) for here in fractions]
    lines.append(_line("chips", [str(count) for count in counts]))
    best = {here: max(cell.mean for cell in table.cells if cell.fraction == here) for here in fractions}
    for method, name in NAMES.items():
        own = {cell.fraction: cell for cell in table.cells if cell.method == method}
        if own:
            lines.append(_line(name, [_score(own[here], best[here]) if here in own else "" for here in fractions]))
    gains = {one.fraction: one for one in table.differences}
    if gains:
        row = [_gain(gains[here]) if here in gains else "" for here in fractions]
        lines.append(_line("pre-trained (probe or fine-tuned) minus scratch, 95 %", row))
    return "\n".join(lines)


def sweep_figure(table: Table, path: str | Path, title: str) -> None:
    """Draw test score against labels, one line a method, bars of one standard deviation over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    for method, name in NAMES.items():
        own = [cell for cell in table.cells if cell.method == method]
        if own:
            axes.errorbar(
                [cell.labels for cell in own],
                [100 * cell.mean for cell in own],
                [100 * cell.std for cell in own],
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
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)
    plt.close(figure)


def _line(name: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _score(cell: Cell, best: float) -> str:
    text = f"{100 * cell.mean:.1f}±{100 * cell.std:.1f}"
    return f"**{text}**" if cell.mean == best else text


def _gain(one: Difference) -> str:
    return f"{100 * one.mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
