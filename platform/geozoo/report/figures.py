"""Figures of the card, as SVG text drawn by matplotlib; accuracies are shown in percent, gaps in percentage points."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.report.words import FEW_VALUES, format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5f6b76"  # of the colour-blind safe palette of Okabe and Ito
FAN = ((0.05, 0.95, 0.18), (0.25, 0.75, 0.40))
WIDTH = 9.6
PANELS_PER_ROW = 3
WIDE_RANGE = 20.0
MANY_POINTS = 3000
LABEL_GAP = 0.055

STYLE: dict[Any, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#222",
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "svg.hashsalt": "geozoo",
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": "#222",
    "ytick.color": GREY,
    "ytick.labelcolor": "#222",
}


def draw_accuracy(metrics: pd.DataFrame, chance: float) -> str:
    """Test accuracy of all members over epochs as a fan of quantiles, and its histogram at the final epoch."""
    from matplotlib.ticker import MaxNLocator

    with style():
        figure = new_figure(3.2)
        fan, histogram = figure.subplots(1, 2, width_ratios=(1.7, 1))
        fan.axhline(100 * chance, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
        fan.set(xlabel="epoch", ylabel="test accuracy (%)", title="over epochs", ylim=(0, 100))
        _draw_fan(fan, 100 * _by_epoch(metrics, "test_accuracy"))
        fan.annotate(
            f"chance {chance:.0%}",
            (1, 100 * chance),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color=ORANGE,
            fontsize=8,
        )
        final = metrics.loc[metrics["epoch"] == metrics["epoch"].max(), "test_accuracy"].dropna()
        histogram.hist(100 * final, bins=20, color=BLUE, alpha=0.8)
        histogram.set(xlabel="test accuracy (%)", ylabel="members", title=f"at epoch {metrics['epoch'].max()}")
        histogram.yaxis.set_major_locator(MaxNLocator(integer=True))
        return to_svg(figure)


def draw_gap(metrics: pd.DataFrame) -> str:
    """Generalization gap over epochs as a fan, and against test accuracy at the final epoch."""
    with style():
        figure = new_figure(3.0)
        fan, scatter = figure.subplots(1, 2, width_ratios=(1.3, 1), sharey=True)
        _draw_fan(fan, 100 * _by_epoch(metrics, "generalization_gap"))
        fan.set(xlabel="epoch", ylabel="train minus test accuracy (points)", title="over epochs")
        final = metrics[metrics["epoch"] == metrics["epoch"].max()]
        _draw_points(scatter, 100 * final["test_accuracy"].to_numpy(), 100 * final["generalization_gap"].to_numpy())
        scatter.set(xlabel="test accuracy (%)", title=f"at epoch {metrics['epoch'].max()}, one dot a member")
        for axes in (fan, scatter):
            axes.axhline(0, color=GREY, linewidth=0.8)
        return to_svg(figure)


def draw_effects(members: pd.DataFrame, final: pd.Series, names: Sequence[str]) -> str:
    """Final test accuracy by the value of each hyper-parameter: boxes over single members, or dots for many values.

    Args:
        members: one row per member.
        final: final test accuracy, rows as in ``members``.
        names: the hyper-parameters, one panel each.
    """
    with style():
        rows = -(-len(names) // PANELS_PER_ROW)
        figure = new_figure(2.5 * rows)
        grid = figure.subplots(rows, PANELS_PER_ROW, sharey=True, squeeze=False)
        for axes, name in zip(grid.flat, names, strict=False):
            _draw_effect(axes, members[name], 100 * final.to_numpy())
            axes.set_title(name.replace("_", " "))
        for axes in grid[:, 0]:
            axes.set_ylabel("test accuracy (%)")
        for axes in list(grid.flat)[len(names) :]:
            axes.remove()
        return to_svg(figure)


def _draw_effect(axes: Axes, column: pd.Series, accuracy: np.ndarray) -> None:
    from matplotlib.ticker import NullFormatter

    values = sorted(column.dropna().unique())
    if len(values) > FEW_VALUES and not isinstance(values[0], str):
        _draw_points(axes, column.to_numpy(dtype=float), accuracy)
        if values[0] > 0 and values[-1] / values[0] > WIDE_RANGE:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: format_value(value))
            axes.xaxis.set_minor_formatter(NullFormatter())
        return
    groups = [accuracy[(column == value).to_numpy() & np.isfinite(accuracy)] for value in values]
    for place, group in enumerate(groups):
        spread = np.random.default_rng(place).uniform(-0.18, 0.18, len(group))
        _draw_points(axes, place + spread, group)
    axes.boxplot(
        groups,
        positions=range(len(groups)),
        widths=0.55,
        showfliers=False,
        medianprops={"color": ORANGE, "linewidth": 1.8},
        boxprops={"color": GREY},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
    )
    axes.set_xticks(range(len(values)), [format_value(value).replace("_", "\n") for value in values])


def _draw_fan(axes: Axes, table: pd.DataFrame) -> None:
    """Median and quantile bands of ``table`` ``[epochs, members]``, labelled at their right end."""
    from matplotlib.ticker import MaxNLocator

    epochs = table.index.to_numpy()
    for low, high, alpha in reversed(FAN):
        bounds = table.quantile([low, high], axis=1)
        axes.fill_between(epochs, bounds.loc[low], bounds.loc[high], color=BLUE, alpha=alpha, linewidth=0)
    axes.plot(epochs, table.median(axis=1), color=BLUE, linewidth=2, marker="o" if len(epochs) == 1 else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label_ends(axes, int(epochs[-1]), table.loc[epochs[-1]])


def _label_ends(axes: Axes, epoch: int, final: pd.Series) -> None:
    """Name the quantiles beside the last epoch, pushed apart where they would overlap."""
    bottom, top = axes.get_ylim()
    quantiles = {0.05: "5%", 0.25: "25%", 0.5: "median", 0.75: "75%", 0.95: "95%"}
    places = _push_apart([float(final.quantile(q)) for q in quantiles], LABEL_GAP * (top - bottom), top)
    for place, text in zip(places, quantiles.values(), strict=True):
        axes.annotate(
            text,
            (epoch, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=BLUE,
            annotation_clip=False,
        )


def _push_apart(places: list[float], gap: float, top: float) -> list[float]:
    """Move ascending places so that neighbours are at least ``gap`` apart and none is above ``top``."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    moved[-1] = min(moved[-1], top)
    for i in reversed(range(len(moved) - 1)):
        moved[i] = min(moved[i], moved[i + 1] - gap)
    return moved


def _draw_points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    size = float(np.clip(2000 / max(1, len(x)), 3, 14))
    axes.scatter(x, y, s=size, color=BLUE, alpha=0.45, linewidth=0, rasterized=len(x) > MANY_POINTS)


def _by_epoch(metrics: pd.DataFrame, column: str) -> pd.DataFrame:
    """A metric as ``[epochs, members]``; missing values stay missing and fall out of the quantiles."""
    return metrics.pivot(index="epoch", columns="member", values=column).astype(float)


def new_figure(height: float) -> Figure:
    """A figure of the width of the page, ``height`` in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height))


def style() -> Any:
    """The context in which figures of the house are drawn and written."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same data."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
