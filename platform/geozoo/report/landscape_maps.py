"""Figures of the landscape: maps of states, trajectories on them, homogeneity of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.hyper.analysis.findings import FINAL, OVER_EPOCHS
from geozoo.hyper.analysis.maps import METHODS
from geozoo.hyper.analysis.sample import SPACES
from geozoo.report.figures import BLUE, GREY, ORANGE, new_figure, style, to_svg
from geozoo.report.words import FEW_VALUES, format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from geozoo.hyper.analysis.findings import HomogeneityRow, Landscape
    from geozoo.hyper.analysis.maps import Map
    from geozoo.hyper.probing.targets import Target

PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")  # of Okabe and Ito
SHORT = {"weights": "weights W", "stats": "statistics s(W)", "embedding": "embedding"}
SPACE_COLOURS = {"weights": BLUE, "stats": ORANGE, "embedding": "#009E73"}
PERCENT = ("test_accuracy", "generalization_gap")
PANEL_HEIGHT = 2.7
SHARP = 150
SHADES = 10


def draw_maps(maps: Sequence[Map], target: Target) -> str:
    """All maps, coloured by one property of their first states: spaces side by side, methods below each other."""
    places = {(one.space, one.method): one.places[: len(target.values)] for one in maps}
    order = np.random.default_rng(0).permutation(np.flatnonzero(target.present))
    with style():
        figure, panels = _map_panels(maps)
        colour, key = _colours(target)
        for (space, method), axes in panels.items():
            points = places[space, method][order]
            drawn = axes.scatter(
                points[:, 0], points[:, 1], s=5, linewidth=0, alpha=0.75, rasterized=True, **colour(order)
            )
        if key is None:
            bar = figure.colorbar(drawn, ax=list(panels.values()), fraction=0.03, aspect=30, spacing="uniform")
            bar.set_label(f"{_unit(target.name)}, tenths of the states")
            bar.ax.yaxis.set_major_formatter(lambda value, _: format_value(value))
        else:
            _legend(figure, _unit(target.name), key)
        return to_svg(figure)


def draw_trajectories(landscape: Landscape) -> str:
    """All maps in grey, and on them the way of some members over their epochs."""
    traced = landscape.traced
    background = len(landscape.sample.members) * len(landscape.sample.epochs)
    accuracy = landscape.final_accuracy
    names = [str(member) for member in traced.members["member"]]
    key = {f"{name[:8]} ({accuracy[name]:.1%})": PALETTE[number % len(PALETTE)] for number, name in enumerate(names)}
    with style():
        figure, panels = _map_panels(landscape.maps)
        for one in landscape.maps:
            axes = panels[one.space, one.method]
            axes.scatter(
                one.places[:background, 0],
                one.places[:background, 1],
                s=3,
                color="#c9d0d6",
                linewidth=0,
                rasterized=True,
            )
            ways = one.places[background:].reshape(len(names), -1, 2)
            for way, colour in zip(ways, key.values(), strict=True):
                axes.plot(*way.T, color=colour, linewidth=1.1, marker=".", markersize=3.5)
                axes.plot(*way[0], "o", markersize=6, markerfacecolor="white", markeredgecolor=colour)
                axes.plot(*way[-1], "s", markersize=6, color=colour, markeredgecolor="white")
        _legend(figure, "member", key)
        return to_svg(figure)


def _map_panels(maps: Sequence[Map]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """One panel per space and method, titled, without ticks, which would mean nothing."""
    spaces = list(dict.fromkeys(one.space for one in maps))
    methods = [method for method in METHODS if any(one.method == method for one in maps)]
    figure = new_figure(PANEL_HEIGHT * len(methods) + 0.2)
    figure.set_dpi(SHARP)
    grid = figure.subplots(len(methods), len(spaces), squeeze=False)
    panels = {}
    for one in maps:
        axes = grid[methods.index(one.method), spaces.index(one.space)]
        axes.set(xticks=[], yticks=[], title=f"{METHODS[one.method]} of {SHORT[one.space]}")
        if one.explained:
            first, second = one.explained
            axes.set(xlabel=f"component 1 ({first:.0%})", ylabel=f"component 2 ({second:.0%})")
        panels[one.space, one.method] = axes
    for axes in grid.flat:
        if axes not in panels.values():
            axes.remove()
    return figure, panels


def _unit(name: str) -> str:
    return f"{name.replace('_', ' ')}{' (%)' if name in PERCENT else ''}"


def _colours(target: Target) -> tuple[Any, dict[str, Any] | None]:
    """Keywords of a scatter for rows of states, and a legend's colours by value, or None for a colour bar."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, Normalize

    present = target.values[target.present]
    levels, counts = np.unique(present, return_counts=True)
    if target.kind == "classification":
        kept = sorted(levels[np.argsort(-counts, kind="stable")[: len(PALETTE)]])
        key: dict[Any, Any] = dict(zip(kept, PALETTE, strict=False))
        legend = {str(level)[:24]: colour for level, colour in key.items()}
        if len(kept) < len(levels):
            legend["others"] = GREY
        return lambda rows: {"c": [key.get(value, GREY) for value in target.values[rows]]}, legend
    if len(levels) <= FEW_VALUES:
        shades = colormaps["viridis"](np.linspace(0, 0.95, len(levels)))
        place = dict(zip(levels.tolist(), shades, strict=True))
        legend = {format_value(level): shade for level, shade in place.items()}
        return lambda rows: {"c": [place[value] for value in target.values[rows].tolist()]}, legend
    values = 100 * target.values if target.name in PERCENT else target.values
    edges = np.unique(np.percentile(values[target.present], np.linspace(0, 100, SHADES + 1)))
    norm = BoundaryNorm(edges, 256, extend="neither") if len(edges) > 2 else Normalize(edges[0], edges[-1])
    return lambda rows: {"c": values[rows], "norm": norm, "cmap": "viridis"}, None


def _legend(figure: Figure, title: str, key: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label=label)
        for label, colour in key.items()
    ]
    figure.legend(
        handles=handles, title=title, loc="outside right upper", frameon=False, alignment="left", handletextpad=0.2
    )


def draw_homogeneity(rows: Sequence[HomogeneityRow]) -> str:
    """The homogeneity ratio of every property and space as a dot, over the 95 % interval of its null as a bar."""
    states = [name for name in (FINAL, OVER_EPOCHS) if any(row.states == name for row in rows)]
    spaces = [space for space in SPACES if any(row.space == space for row in rows)]
    names = {part: list(dict.fromkeys(row.property for row in rows if row.states == part)) for part in states}
    titles = {FINAL: "at the final epoch", OVER_EPOCHS: "over epochs"}
    with style():
        figure = new_figure(1.0 + 0.42 * max(len(some) for some in names.values()))
        panels = figure.subplots(1, len(states), squeeze=False)[0]
        tallest = max(len(some) for some in names.values())
        widest = 1.05 * max(max(row.result.value, row.result.null_high) for row in rows)
        for axes, part in zip(panels, states, strict=True):
            axes.axvline(1, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
            for row in rows:
                if row.states == part:
                    offset = (spaces.index(row.space) - (len(spaces) - 1) / 2) * 0.24
                    _draw_ratio(axes, names[part].index(row.property) + offset, row)
            axes.set_yticks(range(len(names[part])), [name.replace("_", " ") for name in names[part]])
            axes.set(title=titles[part], xlim=(0, widest), ylim=(tallest - 0.5, -0.5))
        figure.supxlabel("mean difference to neighbours over that to random members", fontsize=9)
        _legend(figure, "space", {SPACES[space]: SPACE_COLOURS[space] for space in spaces})
        return to_svg(figure)


def _draw_ratio(axes: Axes, height: float, row: HomogeneityRow) -> None:
    found, colour = row.result, SPACE_COLOURS[row.space]
    axes.plot([found.null_low, found.null_high], [height, height], color=colour, alpha=0.3, linewidth=5)
    axes.plot(found.value, height, "o", markersize=5, color=colour)
