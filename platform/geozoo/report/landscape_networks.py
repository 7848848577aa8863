"""Figures of the landscape: similarity of members, loss surfaces, barriers, main effects."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.report.figures import BLUE, GREY, ORANGE, new_figure, style, to_svg
from geozoo.report.words import format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from geozoo.hyper.analysis.barrier import Barrier
    from geozoo.hyper.analysis.findings import MemberSurfaces
    from geozoo.hyper.analysis.similarity import Similarity
    from geozoo.hyper.analysis.surface import Surface
    from geozoo.hyper.analysis.variance import MainEffect

MATRICES_PER_ROW = 3
CONTOURS = 18
LOSS_MAP, SIMILARITY_MAP = "cividis", "viridis"


def draw_similarity(similarity: Similarity, values: pd.Series[Any], title: str) -> str:
    """CKA of every layer and agreement of predictions as heat maps, members ordered by a property.

    Args:
        similarity: between members.
        values: the property by member id; members with equal values keep their order and lines part the groups.
        title: what the property is called.
    """
    column = values.reindex(list(similarity.members))
    order = np.argsort(column.to_numpy(), kind="stable")
    ordered = column.iloc[order].to_numpy()
    matrices = {f"CKA, {name}": matrix for name, matrix in similarity.cka.items()}
    matrices["equal predictions"] = similarity.agreement
    rows = -(-len(matrices) // MATRICES_PER_ROW)
    with style():
        figure = new_figure(2.9 * rows)
        grid = figure.subplots(rows, MATRICES_PER_ROW, squeeze=False)
        for axes, (name, matrix) in zip(grid.flat, matrices.items(), strict=False):
            drawn = axes.imshow(matrix[np.ix_(order, order)], vmin=0, vmax=1, cmap=SIMILARITY_MAP)
            axes.set_facecolor("#d9dee2")
            axes.set_title(name)
            axes.spines[:].set_visible(False)
            _label_groups(axes, ordered)
        panels, spare = list(grid.flat)[: len(matrices)], list(grid.flat)[len(matrices) :]
        for axes in spare:
            axes.remove()
        figure.supxlabel(f"members by {title}", fontsize=9)
        figure.colorbar(drawn, ax=panels, fraction=0.05, label="similarity")
        return to_svg(figure)


def _label_groups(axes: Axes, ordered: NDArray[Any]) -> None:
    """Name the values along both sides: every group where there are few, else the first, middle and last member."""
    levels = list(dict.fromkeys(ordered.tolist()))
    if len(levels) <= len(ordered) // 2:
        starts = [int(np.flatnonzero(ordered == level)[0]) for level in levels] + [len(ordered)]
        places = [(low + high - 1) / 2 for low, high in pairwise(starts)]
        texts = [format_value(level) for level in levels]
        for edge in starts[1:-1]:
            axes.axvline(edge - 0.5, color="white", linewidth=1)
            axes.axhline(edge - 0.5, color="white", linewidth=1)
    else:
        places = [0, (len(ordered) - 1) // 2, len(ordered) - 1]
        texts = [f"{100 * ordered[int(place)]:.1f}" for place in places]
    crowded = sum(map(len, texts)) > 18
    axes.set_xticks([] if crowded else places, [] if crowded else texts, fontsize=7)
    axes.set_yticks(places, texts, fontsize=7)
    axes.tick_params(length=0)


def draw_surfaces(found: Sequence[MemberSurfaces], accuracy: pd.Series[Any]) -> str:
    """Per member, the training loss on a random plane and on the plane of its trajectory, as contours of log loss."""
    with style():
        figure = new_figure(3.6 * len(found))
        grid = figure.subplots(len(found), 2, squeeze=False)
        for (left, right), one in zip(grid, found, strict=True):
            label = f"{one.member[:8]}, {one.activation}, {accuracy[one.member]:.1%}"
            _draw_surface(figure, left, one.random)
            left.set(title=f"{label}: random directions", xlabel="direction 1", ylabel="direction 2")
            if one.trajectory is None:
                right.remove()
                continue
            _draw_surface(figure, right, one.trajectory)
            first, second = one.trajectory.explained
            right.plot(*one.trajectory.path.T, color="white", linewidth=1.2, marker="o", markersize=2.5)
            right.plot(*one.trajectory.path[0], "o", markersize=7, markerfacecolor="none", markeredgecolor="white")
            right.set(
                title="its trajectory",
                xlabel=f"component 1 ({first:.0%} of the way)",
                ylabel=f"component 2 ({second:.0%})",
            )
        return to_svg(figure)


def _draw_surface(figure: Figure, axes: Axes, surface: Surface) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    loss = np.maximum(surface.loss, 1e-6)
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    levels = np.geomspace(low, max(high, 1.001 * low), CONTOURS)
    drawn = axes.contourf(surface.x, surface.y, loss, levels=levels, norm=LogNorm(), cmap=LOSS_MAP)
    axes.contour(surface.x, surface.y, loss, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.6)
    axes.set_box_aspect(1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.plot(0, 0, "*", markersize=13, color=ORANGE, markeredgecolor="white", markeredgewidth=0.8)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.05, label="training loss")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    bar.ax.yaxis.set_major_formatter(lambda value, _: format_value(value))


def draw_barriers(barriers: Sequence[Barrier]) -> str:
    """Loss and accuracy on the lines between pairs, before and after alignment: one thin line a pair, bold medians."""
    aligned = [barrier.after for barrier in barriers if barrier.after is not None]
    kinds = {"as they are": (ORANGE, [barrier.before for barrier in barriers])}
    if aligned:
        kinds["second one aligned"] = (BLUE, aligned)
    share = np.linspace(0, 1, len(barriers[0].before.loss))
    with style():
        figure = new_figure(3.2)
        losses, accuracies = figure.subplots(1, 2)
        for label, (colour, paths) in kinds.items():
            for axes, curves in (
                (losses, np.stack([path.loss for path in paths])),
                (accuracies, 100 * np.stack([path.accuracy for path in paths])),
            ):
                axes.plot(share, curves.T, color=colour, linewidth=0.7, alpha=0.35)
                axes.plot(share, np.median(curves, axis=0), color=colour, linewidth=2.4, label=label)
        losses.set(xlabel="share of the second member", ylabel="test loss", ylim=(0, None), title="loss")
        accuracies.set(xlabel="share of the second member", ylabel="test accuracy (%)", ylim=(0, 100), title="accuracy")
        figure.legend(*losses.get_legend_handles_labels(), loc="outside right upper", frameon=False)
        return to_svg(figure)


def draw_effects(effects: Sequence[MainEffect]) -> str:
    """Eta squared of every hyper-parameter as a bar, and as a line what chance would give it."""
    with style():
        figure = new_figure(0.9 + 0.36 * len(effects))
        axes = figure.subplots()
        axes.barh(range(len(effects)), [100 * one.eta_squared for one in effects], height=0.6, color=BLUE, alpha=0.85)
        for place, one in enumerate(effects):
            axes.plot([100 * one.by_chance] * 2, [place - 0.36, place + 0.36], color=ORANGE, linewidth=2)
            axes.annotate(
                f"{one.eta_squared:.1%}",
                (100 * max(one.eta_squared, one.by_chance), place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=GREY,
            )
        names = [f"{one.name.replace('_', ' ')} ({one.levels} {'bins' if one.binned else 'values'})" for one in effects]
        axes.set_yticks(range(len(effects)), names)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set(xlabel="share of the variance of final test accuracy (%); orange: expected by chance", xlim=(0, None))
        return to_svg(figure)
