"""How often the statistical checks find an injected fault, and how often they find one in clean pixels.

Scenes are halved; thresholds and weights are fitted on each half and judged on the other, and the two judgements added.
The constants in `geozoo.eo.check` are the same fits on all scenes, rounded.
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.eo.check_material import Piece, label_pieces, sentinel1_pieces, sentinel2_pieces
from geozoo.eo.bands import SENTINEL2_L2A
from geozoo.eo.check import borders, dark, near, order, radar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SEED = 0
DRAWS = 200
VOTERS = 16
MIXED = 20


@dataclass
class Row:
    """Counts for one fault; the unit is a tile unless the name says otherwise."""

    fault: str
    injected: int = 0
    found: int = 0
    missed_undecided: int = 0
    clean: int = 0
    false: int = 0
    clean_undecided: int = 0

    def add(self, injected: Sequence[bool | None], clean: Sequence[bool | None]) -> None:
        """Add verdicts: found, not found, or not decidable."""
        self.injected += len(injected)
        self.found += sum(verdict is True for verdict in injected)
        self.missed_undecided += sum(verdict is None for verdict in injected)
        self.clean += len(clean)
        self.false += sum(verdict is True for verdict in clean)
        self.clean_undecided += sum(verdict is None for verdict in clean)


def halves(scenes: Sequence[str]) -> list[tuple[set[str], set[str]]]:
    """The scenes in two halves, as (fit, judge) both ways; those with several pieces are halved on their own."""
    draw = np.random.default_rng(SEED)
    names, counts = np.unique(scenes, return_counts=True)
    one: set[str] = set()
    for group in (names[counts == 1], names[counts > 1]):
        one |= set(draw.permutation(group)[: (len(group) + 1) // 2].tolist())
    other = set(names.tolist()) - one
    return [(one, other), (other, one)]


def offset_rows() -> list[Row]:
    """The offset left in, taken off twice, and left in for some tiles of a collection."""
    pieces = [piece for piece in sentinel2_pieces() if not piece.carrying]
    lowest = np.array([dark.dark_minimum(piece.bands) for piece in pieces], float)
    rows = [
        Row("offset of 1000 left in"),
        Row("offset taken off twice"),
        Row(f"offset left in for some of {MIXED} tiles"),
    ]
    draw = np.random.default_rng(SEED)
    for fit, judge in halves([piece.scene for piece in pieces]):
        train, test = (np.array([piece.scene in part for piece in pieces]) for part in (fit, judge))
        low, high = fit_offset(lowest[train])

        def carries(value: float, low: float = low, high: float = high) -> bool | None:
            return None if value > high else bool(value >= low)

        rows[0].add([carries(value + 1000) for value in lowest[test]], [carries(value) for value in lowest[test]])
        surplus = fit_surplus(lowest[train])
        rows[1].add((lowest[test] - 1000 < surplus).tolist(), (lowest[test] < surplus).tolist())
        for count in draw.integers(1, MIXED // 2, DRAWS):
            chosen = draw.choice(lowest[test], MIXED)
            added = chosen + 1000 * (np.arange(MIXED) < count)
            rows[2].add([_mixed([carries(value) for value in added])], [_mixed([carries(value) for value in chosen])])
    return rows


def fit_offset(lowest: NDArray[Any]) -> tuple[float, float]:
    """From 30 below the darkest clean tile with the offset, for reflectances below 0, to the 99 % of such tiles."""
    return float(lowest.min() + 1000 - 30), float(np.percentile(lowest, 99) + 1000)


def fit_surplus(lowest: NDArray[Any]) -> float:
    """Halfway from clean tiles to those from which 1000 was taken off."""
    return float(min(lowest.max() - 1000, 0) + lowest.min()) / 2


def _mixed(verdicts: list[bool | None]) -> bool:
    return {True, False} <= set(verdicts)


def level_row() -> Row:
    """Level-1C taken for Level-2A and the other way round: every piece read at its own and at the other level."""
    pieces = sentinel2_pieces()
    hazes = [dark.haze(piece.bands) for piece in pieces]
    row = Row("levels L1C and L2A exchanged")
    known = [(haze, piece) for haze, piece in zip(hazes, pieces, strict=True) if haze is not None]
    for fit, judge in halves([piece.scene for piece in pieces]):
        threshold = fit_level([(haze, piece) for haze, piece in known if piece.scene in fit])
        verdicts = [
            None if haze is None else bool((haze > threshold) != (piece.level == "L1C"))
            for haze, piece in zip(hazes, pieces, strict=True)
            if piece.scene in judge
        ]
        row.add([None if verdict is None else not verdict for verdict in verdicts], verdicts)
    return row


def fit_level(known: list[tuple[float, Piece]]) -> float:
    """The threshold at which the two levels err equally often, as shares of their tiles."""
    above = np.sort([haze for haze, piece in known if piece.level == "L1C"])
    below = np.sort([haze for haze, piece in known if piece.level == "L2A"])
    candidates = np.unique(np.concatenate([above, below]))
    middles = (candidates[:-1] + candidates[1:]) / 2
    errors = [(above < middle).mean() + (below > middle).mean() for middle in middles]
    best = np.flatnonzero(np.isclose(errors, min(errors)))
    return float(middles[best[len(best) // 2]])


def decibel_row() -> Row:
    """Linear power where decibels are expected."""
    pieces = sentinel1_pieces()
    row = Row("S1 in linear power")
    for fit, judge in halves([scene for scene, _ in pieces]):
        threshold = min(radar.negative_share(pixels) for scene, pixels in pieces if scene in fit) / 2
        test = [pixels for scene, pixels in pieces if scene in judge]
        linear = [radar.negative_share(10 ** (pixels / 10)) < threshold for pixels in test]
        row.add(linear, [radar.negative_share(pixels) < threshold for pixels in test])
    return row


ORDERS: dict[str, tuple[str, ...]] = {
    **{f"{one} and {other} exchanged": (one, other) for one, other in order.PAIRS},
    "EuroSAT's order (B8A last) taken for the product's": ("B8A", "B09", "B11", "B12"),
}
"""Bands in a cycle: each is read where the one after it belongs ... as a file with these places moved by one gives."""


def misread(bands: dict[str, NDArray[Any]], cycle: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The name of each band of a cycle on the pixels of the next."""
    return bands | {name: bands[following] for name, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True)}


def order_rows() -> list[Row]:
    """Bands in another order, in a single tile and by the vote of some: all patches, or all of other sources."""
    pieces = sentinel2_pieces()
    tiles = {fault: Row(f"{fault}, one tile") for fault in ORDERS}
    votes = {fault: Row(f"{fault}, {VOTERS} tiles of a collection") for fault in ORDERS}
    draw = np.random.default_rng(SEED)
    right = [order.pair_features(piece.bands) for piece in pieces]
    wrong = {
        fault: [order.pair_features(misread(piece.bands, cycle)) for piece in pieces] for fault, cycle in ORDERS.items()
    }
    for fit, judge in halves([piece.scene for piece in pieces]):
        weights = fit_order([(piece, rows) for piece, rows in zip(pieces, right, strict=True) if piece.scene in fit])
        test = [place for place, piece in enumerate(pieces) if piece.scene in judge]
        by_scene = _by_scene(test, pieces)
        pools = [sorted(scene for scene in judge if scene.startswith("patch ") is known) for known in (True, False)]
        for fault, cycle in ORDERS.items():
            asked = [place for place, pair in enumerate(order.PAIRS) if set(pair) <= set(cycle)]
            clean = [_exchanged(right[place], weights, asked) for place in test]
            found = [_exchanged(wrong[fault][place], weights, asked) for place in test]
            tiles[fault].add([_any(verdict) for verdict in found], [_any(verdict) for verdict in clean])
            for number in range(DRAWS):
                drawn = [draw.choice(by_scene[scene]) for scene in draw.choice(pools[number % 2], VOTERS)]
                votes[fault].add([_vote([found[at] for at in drawn])], [_vote([clean[at] for at in drawn])])
    return [*tiles.values(), *votes.values()]


def fit_order(pieces: list[tuple[Piece, NDArray[Any] | None]]) -> NDArray[Any]:
    """Logistic regression without intercept of right against exchanged for each pair ``[pairs, 11]``.

    A scene counts as one patch, or as five where it has several pieces.
    """
    from sklearn.linear_model import LogisticRegression

    known = [(piece.scene, rows) for piece, rows in pieces if rows is not None]
    names, counts = np.unique([scene for scene, _ in known], return_counts=True)
    share = {name: min(count, 5) / count for name, count in zip(names, counts, strict=True)}
    weight = np.array([share[scene] for scene, _ in known])
    fitted = []
    for place in range(len(order.PAIRS)):
        features = np.array([rows[place] for _, rows in known])
        scale = np.sqrt((weight[:, None] * features**2).sum(0) / weight.sum())
        model = LogisticRegression(fit_intercept=False, max_iter=2000)
        both = np.concatenate([features, -features]) / scale
        model.fit(both, np.repeat([1, 0], len(features)), np.concatenate([weight, weight]))
        fitted.append(model.coef_[0] / scale)
    return np.array(fitted)


def _exchanged(rows: NDArray[Any] | None, weights: NDArray[Any], asked: list[int]) -> list[bool] | None:
    return None if rows is None else [bool(rows[place] @ weights[place] < 0) for place in asked]


def _any(verdict: list[bool] | None) -> bool | None:
    return None if verdict is None else any(verdict)


def _vote(verdicts: list[list[bool] | None]) -> bool | None:
    votes = np.array([verdict for verdict in verdicts if verdict is not None])
    return bool((votes.mean(axis=0) > 0.5).any()) if votes.size else None


def _by_scene(test: list[int], pieces: Sequence[Piece]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for at, place in enumerate(test):
        found[pieces[place].scene].append(at)
    return found


def border_row() -> Row:
    """Labels shifted by half a pixel or enlarged, bilinearly and rounded; classes recoded at random five times."""
    from scipy.ndimage import shift, zoom

    changes: tuple[Callable[[NDArray[Any]], NDArray[Any]], ...] = (
        lambda codes: shift(codes, 0.5, order=1, mode="nearest"),
        lambda codes: zoom(codes, 1.5, order=1),
        lambda codes: zoom(codes[::2, ::2], 2, order=1),
    )
    draw = np.random.default_rng(SEED)
    pieces = [(scene, draw.permutation(10)[codes]) for scene, codes in label_pieces() for _ in range(5)]
    changed = [(scene, np.rint(change(codes.astype(float)))) for scene, codes in pieces for change in changes]
    row = Row("labels interpolated and rounded")
    for fit, judge in halves([scene for scene, codes in label_pieces() if scene != "609U_541L_3_0"]):
        threshold = fit_borders(_shares(pieces, fit), _shares(changed, fit))
        injected, clean = _shares(changed, judge), _shares(pieces, judge)
        row.add(
            [None if share is None else share > threshold for share in injected],
            [None if share is None else share > threshold for share in clean],
        )
    return row


def _shares(pieces: list[tuple[str, NDArray[Any]]], scenes: set[str]) -> list[float | None]:
    return [borders.transition_share(codes) for scene, codes in pieces if scene in scenes]


def fit_borders(clean: list[float | None], injected: list[float | None]) -> float:
    """Halfway between the 98 % of clean maps and the 5 % of interpolated ones."""
    high = np.percentile([share for share in clean if share is not None], 98)
    low = np.percentile([share for share in injected if share is not None], 5)
    return float((high + low) / 2)


def near_rows() -> list[Row]:
    """Copies of a tile with noise, scaled, in 8 bits, or moved by a pixel, among all others."""
    stacks = [np.array([piece.bands[band] for band in SENTINEL2_L2A]) for piece in sentinel2_pieces()[:300]]
    draw = np.random.default_rng(SEED)
    changes: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "copy with 1 % noise": lambda pixels: pixels * draw.normal(1, 0.01, pixels.shape),
        "copy with 3 % noise": lambda pixels: pixels * draw.normal(1, 0.03, pixels.shape),
        "copy times 1.1 plus 50": lambda pixels: pixels * 1.1 + 50,
        "copy in 8 bits": lambda pixels: np.rint(pixels * (255 / pixels.max())),
        "copy moved by one pixel": lambda pixels: np.roll(pixels, 1, axis=2),
    }
    rows = []
    for name, change in changes.items():
        row = Row(name)
        prints = [near.fingerprint(pixels) for pixels in stacks]
        copies = [near.fingerprint(change(pixels.astype(float))) for pixels in stacks]
        found = [_is_near(one, other) for one, other in zip(prints, copies, strict=True)]
        known = [bits for bits in prints if bits is not None]
        false = {later for _, later, _ in near.near_pairs(known)}
        row.add(found, [place in false for place in range(len(known))])
        rows.append(row)
    return rows


def _is_near(one: bytes | None, other: bytes | None) -> bool | None:
    if one is None or other is None:
        return None
    return any(True for _ in near.near_pairs([one, other]))


def eurosat_near() -> Row:
    """Near-duplicates that are reported among 10,000 different images of EuroSAT."""
    import pyarrow.parquet as pq
    from PIL import Image

    from tests.support.tiles import real

    prints = []
    for file in sorted(real("eurosat_rgb").glob("*.parquet")):
        for image in pq.read_table(file, columns=["image"])["image"].to_pylist():
            pixels = np.asarray(Image.open(io.BytesIO(image["bytes"]))).transpose(2, 0, 1)
            prints.append(near.fingerprint(pixels))
    known = [bits for bits in prints if bits is not None]
    row = Row("different images of EuroSAT")
    false = {later for _, later, _ in near.near_pairs(known)}
    row.add([], [*(place in false for place in range(len(known))), *([None] * (len(prints) - len(known)))])
    return row
