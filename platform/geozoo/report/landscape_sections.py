"""The sections of a landscape page: what every analysis shows, and in which words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.analysis.findings import FINAL
from geozoo.hyper.analysis.sample import SPACES
from geozoo.hyper.analysis.similarity import mean_by_group
from geozoo.hyper.analysis.surface import STEPS
from geozoo.hyper.probing.targets import varying_hyperparameters
from geozoo.report.landscape_maps import draw_homogeneity, draw_maps, draw_trajectories
from geozoo.report.landscape_networks import draw_barriers, draw_effects, draw_similarity, draw_surfaces
from geozoo.report.page import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.analysis.findings import Landscape
    from geozoo.hyper.analysis.variance import MainEffect


@dataclass(frozen=True)
class Table:
    """A table for the page: column titles and rows of text, the first column being row titles."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page; ``notes`` are sentences before the figures, ``missing`` why there are none."""

    heading: str
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    table: Table | None = None
    missing: tuple[str, ...] = field(default=())


def maps_section(landscape: Landscape) -> Section:
    """Maps coloured by every property, and trajectories."""
    pictures = [
        Picture(
            f"Coloured by {target.name.replace('_', ' ')}",
            f"Maps of states, one dot each, coloured by {target.name.replace('_', ' ')}.",
            draw_maps(landscape.maps, target),
        )
        for target in landscape.sample.properties
    ]
    pictures.append(
        Picture(
            "Trajectories",
            "The way of some members over all stored epochs (circle: first, square: last; in brackets their final test "
            "accuracy) on the maps of all states (grey). The states on the way find their places on the maps and do "
            "not shape them.",
            draw_trajectories(landscape),
        )
    )
    return Section(
        "Maps",
        (
            "Each state is a point; states close together are alike in that space. Layer statistics are divided by "
            "their standard deviations, weights and embeddings are as they are. PCA shows most of the variance that "
            "two straight axes can; UMAP keeps neighbours together, and its distances between clusters mean little.",
        ),
        tuple(pictures),
        missing=_missing(landscape, "umap"),
    )


def homogeneity_section(landscape: Landscape) -> Section:
    """Ratios of neighbour to random differences."""
    rows = landscape.homogeneity
    if not rows:
        return Section("Homogeneity of neighbours", missing=_missing(landscape, "homogeneity"))
    lines = tuple(
        (
            row.property.replace("_", " "),
            "final epoch" if row.states == FINAL else "all epochs of the maps",
            SPACES[row.space],
            f"{row.result.value:.2f}",
            f"{row.result.null_mean:.2f} ({row.result.null_low:.2f} to {row.result.null_high:.2f})",
            f"{row.result.p:.3f}",
        )
        for row in rows
    )
    text = (
        "Mean difference in a property between a state and the nearest states of its "
        f"{rows[0].result.neighbours} nearest other members, over that of random pairs of different members (dot), and "
        "the 95% interval of the same ratio where the property is shuffled over members (bar)."
    )
    return Section(
        "Homogeneity of neighbours",
        (
            "0: neighbours are equal in the property; 1: they differ as random members do. Another state of the same "
            "member is never a neighbour. Over epochs whole trajectories are shuffled, so that what the epoch alone "
            "explains is in the null; the epoch itself is shuffled within members. A ratio above 1 is possible: in "
            "many dimensions the nearest neighbours of most states are the same few.",
        ),
        (Picture("Neighbours and random members", text, draw_homogeneity(rows)),),
        Table(("property", "states", "space", "ratio", "shuffled (95%)", "p"), lines),
    )


def similarity_section(landscape: Landscape) -> Section:
    """Heat maps of CKA and agreement."""
    found = landscape.similarity
    if found is None:
        return Section("Similarity of members", missing=_missing(landscape, "images", "similarity"))
    members = landscape.population.members.set_index("member")
    names = varying_hyperparameters(members.loc[list(found.members)].reset_index())
    effects = landscape.variance.effects if landscape.variance else ()
    orders = [("test accuracy (%)", landscape.final_accuracy)]
    orders += [(one.name.replace("_", " "), members[one.name]) for one in effects if one.name in names][:1]
    pictures = tuple(
        Picture(
            f"Ordered by {title}",
            f"Linear CKA of activations and share of equal predictions between {len(found.members)} members, ordered "
            f"by {title}; grey where a layer answers the same to every image.",
            draw_similarity(found, values, title),
        )
        for title, values in orders
    )
    matrices = {f"CKA, {name}": matrix for name, matrix in found.cka.items()} | {"equal predictions": found.agreement}
    lines = []
    for name in names:
        groups = members.loc[list(found.members), name].astype(str).to_numpy()
        means = (mean_by_group(matrix, groups) for matrix in matrices.values())
        cells = (f"{_mean(same)} / {_mean(other)}" for same, other in means)
        lines.append((name.replace("_", " "), *cells))
    return Section(
        "Similarity of members",
        (
            f"Linear CKA (Kornblith et al. 2019) of what layers answer to the first {found.images} test images, at the "
            "final epoch; it lies between 0 and 1 and does not mind rotations of a layer. Where a layer has more units "
            "than there are images it is biased upwards. The table gives means over pairs with the same value of a "
            "hyper-parameter / with different ones.",
        ),
        pictures,
        Table(("same / other", *matrices), tuple(lines)) if lines else None,
    )


def surfaces_section(landscape: Landscape) -> Section:
    """Loss surfaces around members."""
    if not landscape.surfaces:
        missing = _missing(landscape, "images", "surfaces and barriers", "surfaces")
        return Section("Loss surfaces", missing=missing)
    text = (
        "Training loss around members (star) on a plane of two random directions, and on the plane of the first two "
        "principal components of its own trajectory (line, from the circle to the star), as shades of log loss."
    )
    return Section(
        "Loss surfaces",
        (
            f"Grids of {STEPS} by {STEPS} states on {landscape.image_count} training images. Random directions are "
            "filter-normalised (Li et al. 2018): every filter or unit of a direction is as long as that of the member; "
            "biases and BatchNorm are not moved, as in the authors' released code. The trajectory's plane goes through "
            "its last state; the percentages say how much of the trajectory's variance either axis shows.",
        ),
        (Picture("Around members", text, draw_surfaces(landscape.surfaces, landscape.final_accuracy)),),
    )


def barriers_section(landscape: Landscape) -> Section:
    """Lines between pairs of members."""
    barriers = landscape.barriers
    if not barriers:
        missing = _missing(landscape, "images", "surfaces and barriers", "barriers")
        return Section("Barriers between members", missing=missing)
    aligned = all(barrier.after is not None for barrier in barriers)
    text = "Test loss and accuracy on the straight lines between pairs of members" + (
        ", as they are and with the second one's units aligned to the first's." if aligned else "."
    )
    note = (
        f"{len(barriers)} pairs of final members that share their activation, on {landscape.image_count} test images: "
        "thin lines are pairs, bold lines medians. The barrier is the most by which the loss lies above (the accuracy "
        "below) the straight line between the values of the ends. "
    )
    note += (
        "Alignment is weight matching over the network's permutation symmetry (Git Re-Basin, Ainsworth et al. 2022)."
        if aligned
        else "There are no lines after alignment."
    )
    kinds = {"as they are": [one.before for one in barriers]}
    kinds |= {"second one aligned": [one.after for one in barriers if one.after is not None]} if aligned else {}
    lines = tuple(
        (
            name,
            _median_and_range([path.loss_barrier for path in paths], "{:.2f}"),
            _median_and_range([100 * path.accuracy_barrier for path in paths], "{:.1f}"),
        )
        for name, paths in kinds.items()
    )
    return Section(
        "Barriers between members",
        (note,),
        (Picture("Between members", text, draw_barriers(barriers)),),
        Table(("barrier: median (range)", "loss", "accuracy (points)"), lines),
        _missing(landscape, "alignment"),
    )


def variance_section(landscape: Landscape) -> Section:
    """Seeds against hyper-parameters, and main effects."""
    found = landscape.variance
    if found is None:
        return Section("Seeds and hyper-parameters", missing=_missing(landscape, "variance"))
    split = found.split
    points = 100 * np.sqrt(split.total)
    notes = [
        f"The standard deviation of the final test accuracy over {split.members:,} members is {points:.2f} points."
    ]
    if split.identifiable:
        notes.append(
            f"By the law of total variance {split.between / split.total:.0%} of the variance lies between the "
            f"{split.cells:,} cells of hyper-parameters and {split.within / split.total:.0%} within them, over seeds; "
            f"the standard deviation over seeds of a single cell is {100 * np.sqrt(split.seed):.2f} points."
        )
    else:
        notes.append(
            "Every cell of hyper-parameters has one seed, so the share of the seeds is not identifiable: it cannot be "
            "told from the interactions of hyper-parameters."
        )
    if not found.effects:
        return Section("Seeds and hyper-parameters", tuple(notes))
    text = (
        "Share of the variance of the final test accuracy that lies between the values of each hyper-parameter "
        "(one-way eta squared), and what a hyper-parameter without effect would be expected to reach (orange)."
    )
    notes.append(
        "In a complete grid the shares are the main effects of functional ANOVA and add up to at most 1; in other "
        f"designs hyper-parameters may share what they explain. Their sum is {_total(found.effects):.0%}."
    )
    return Section(
        "Seeds and hyper-parameters", tuple(notes), (Picture("Main effects", text, draw_effects(found.effects)),)
    )


def _missing(landscape: Landscape, *analyses: str) -> tuple[str, ...]:
    """Why these analyses were left out, as far as they were."""
    return tuple(f"Left out: {landscape.left_out[name]}" for name in analyses if name in landscape.left_out)


def _total(effects: Sequence[MainEffect]) -> float:
    return float(sum(effect.eta_squared for effect in effects))


def _mean(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _median_and_range(values: Sequence[float], text: str) -> str:
    low, middle, high = (text.format(np.quantile(values, share)) for share in (0, 0.5, 1))
    return f"{middle} ({low} to {high})"


SECTIONS = (
    maps_section,
    homogeneity_section,
    variance_section,
    similarity_section,
    surfaces_section,
    barriers_section,
)
