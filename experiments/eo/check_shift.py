"""The shift between S1 and S2, found for whole scenes: how often, how exactly, and when it cannot be decided."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.eo.check_faults import halves
from experiments.eo.check_material import pairs_by_scene
from geozoo.eo.check.shift import SHIFTED, SMALLEST, Shift, ShiftSums, estimate_shift, shift_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pairs = list[tuple[NDArray[Any], NDArray[Any]]]

LARGEST = 8
DIRECTIONS = 4
AGREED = 2.0
"""Pixels within which two clear parts of a scene must agree."""


@dataclass(frozen=True)
class Injected:
    """One judgement of a scene whose S1 was moved by a known number of whole pixels.

    Attributes:
        scene: name.
        pixels: nominal length of the shift, 0 to 8.
        threshold: clarity by the other half of the scenes.
        clear: whether the peak was clear by it.
        found: whether it was clear and at least `SHIFTED` long.
        right: whether it was clear and within one pixel of what was put in.
        after: for each half of the scene: whether its shift is within one pixel of what was put in and what the other
            half has as published; only where both halves are clear.
    """

    scene: str
    pixels: int
    threshold: float
    clear: bool
    found: bool
    right: bool
    after: tuple[bool, ...]


@dataclass(frozen=True)
class Agreement:
    """Two parts of a scene: the smaller of their clarities, and how far their estimates are apart in pixels."""

    scene: str
    clarity: float
    apart: float


@dataclass(frozen=True)
class Published:
    """The shift of a scene as published, of all of it and of its two halves."""

    scene: str
    whole: Shift
    halves: tuple[Shift, Shift]


def sums_of(pairs: Pairs) -> ShiftSums:
    """The sums over some pieces."""
    found = [shift_sums(s1, s2) for s1, s2 in pairs]
    total = found[0]
    assert total is not None
    for sums in found[1:]:
        assert sums is not None
        total += sums
    return total


def moved(pairs: Pairs, down: int = 0, right: int = 0) -> Pairs:
    """A scene with S1 moved down and right: both are cut, so that all pixels are real."""
    return [(_inner(s1, -down, -right), _inner(s2, 0, 0)) for s1, s2 in pairs]


def _inner(pixels: NDArray[Any], row: int, column: int) -> NDArray[Any]:
    height, width = pixels.shape[1:]
    return pixels[:, LARGEST + row : height - LARGEST + row, LARGEST + column : width - LARGEST + column]


def published() -> list[Published]:
    """The scenes as they are."""
    found = []
    for name, pairs in pairs_by_scene().items():
        one, other = (estimate_shift(sums_of(part)) for part in split(moved(pairs)))
        found.append(Published(name, estimate_shift(sums_of(moved(pairs))), (one, other)))
    return found


def split(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """A scene in two: every other piece, or the left and the right of one tile."""
    if len(pairs) > 1:
        return pairs[::2], pairs[1::2]
    ((s1, s2),) = pairs
    middle = s1.shape[2] // 2
    return [(s1[..., :middle], s2[..., :middle])], [(s1[..., middle:], s2[..., middle:])]


def agreement() -> list[Agreement]:
    """All pairs of parts of each scene: quarters of a tile, halves of a small one both ways, eighths of many pieces."""
    found = []
    for name, pairs in pairs_by_scene().items():
        for parts in _parts(pairs):
            shifts = [estimate_shift(sums_of(part)) for part in parts]
            for one, other in combinations(shifts, 2):
                apart = _off(one, other.down, other.right)
                found.append(Agreement(name, min(one.clarity, other.clarity), apart))
    return found


def _parts(pairs: Pairs) -> list[list[Pairs]]:
    if len(pairs) > 1:
        return [[pairs[start::8] for start in range(8)]]
    ((s1, s2),) = pairs
    size = s1.shape[1]
    half, other = slice(size // 2), slice(size // 2, None)
    if size // 4 >= SMALLEST:
        return [[[(s1[:, rows, columns], s2[:, rows, columns])] for rows in (half, other) for columns in (half, other)]]
    across = [[(s1[:, rows], s2[:, rows])] for rows in (half, other)]
    along = [[(s1[:, :, columns], s2[:, :, columns])] for columns in (half, other)]
    return [across, along]


def unrelated() -> list[tuple[str, str, float]]:
    """Clarity of the best shift between S1 of one scene and S2 of another: there is none to find."""
    found = []
    scenes = pairs_by_scene()
    for one, radar in scenes.items():
        for other, optical in scenes.items():
            if one == other:
                continue
            edge = min(radar[0][0].shape[1], optical[0][0].shape[1])
            mixed = [
                (s1[:, :edge, :edge], s2[:, :edge, :edge]) for (s1, _), (_, s2) in zip(radar, optical, strict=False)
            ]
            found.append((one, other, estimate_shift(sums_of(moved(mixed))).clarity))
    return found


def fit_clarity(null: list[float], parts: list[Agreement]) -> float:
    """The smallest clarity over 98 % of unrelated pairs from which on parts of a scene agree within two pixels."""
    strangers = float(np.percentile(null, 98))
    wrong = [pair.clarity for pair in parts if pair.apart > AGREED]
    return max([strangers, *wrong])


def curve(null: list[tuple[str, str, float]], parts: list[Agreement], as_published: list[Published]) -> list[Injected]:
    """All scenes moved by 0 to 8 pixels in four directions, judged by the threshold of the other half of the scenes."""
    found = []
    scenes = pairs_by_scene()
    natural = {scene.scene: scene for scene in as_published}
    for fit, judge in halves(list(scenes)):
        clear = fit_clarity(
            [clarity for one, other, clarity in null if one in fit and other in fit],
            [pair for pair in parts if pair.scene in fit],
        )
        for name in sorted(judge):
            found += [_judge(name, scenes[name], natural[name], clear, *move) for move in _moves()]
    return found


def _judge(name: str, pairs: Pairs, natural: Published, clear: float, pixels: int, down: int, right: int) -> Injected:
    scene = moved(pairs, down, right)
    shift = estimate_shift(sums_of(scene))
    after = []
    for part, known in zip(split(scene), reversed(natural.halves), strict=True):
        estimate = estimate_shift(sums_of(part))
        if min(estimate.clarity, known.clarity) > clear:
            after.append(_off(estimate, down + known.down, right + known.right) <= 1)
    is_clear = shift.clarity > clear
    is_right = is_clear and _off(shift, down, right) <= 1
    return Injected(name, pixels, clear, is_clear, is_clear and shift.pixels >= SHIFTED, is_right, tuple(after))


def _moves() -> list[tuple[int, int, int]]:
    angles = 2 * np.pi * (np.arange(DIRECTIONS) + 0.25) / DIRECTIONS
    moves = [
        (pixels, round(pixels * float(np.sin(angle))), round(pixels * float(np.cos(angle))))
        for pixels in range(1, LARGEST + 1)
        for angle in angles
    ]
    return [(0, 0, 0), *moves]


def _off(shift: Shift, down: float, right: float) -> float:
    return float(np.hypot(shift.down - down, shift.right - right))
