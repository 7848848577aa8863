"""The shift between S1 and S2, found for whole scenes: how often, how exactly, and when it cannot be decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.eo.check_faults import halves
from experiments.eo.check_material import pairs_by_scene
from geozoo.eo.check.shift import SHIFTED, Shift, ShiftSums, estimate_shift, shift_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pairs = list[tuple[NDArray[Any], NDArray[Any]]]

LARGEST = 8
DIRECTIONS = 4


@dataclass(frozen=True)
class Injected:
    """One judgement of a scene whose S1 was moved by a known number of whole pixels.

    Attributes:
        scene: name.
        pixels: nominal length of the shift, 0 to 8.
        clear: whether the peak was clear by the threshold of the other half of the scenes.
        found: whether it was clear and at least `SHIFTED` long.
        right: whether it was clear and within one pixel of what was put in.
        after: for each half of the scene: whether its shift is within one pixel of what was put in and what the other
            half has as published; only where both halves are clear.
    """

    scene: str
    pixels: int
    clear: bool
    found: bool
    right: bool
    after: tuple[bool, ...]


@dataclass(frozen=True)
class Published:
    """The shift of a scene as published, of all of it and of its two halves."""

    scene: str
    whole: Shift
    halves: tuple[Shift, Shift]


def scene_sums(pairs: Pairs, down: int = 0, right: int = 0) -> ShiftSums:
    """The sums of a scene with S1 moved down and right: both are cut, so that all pixels are real."""
    total: ShiftSums | None = None
    for s1, s2 in pairs:
        sums = shift_sums(_inner(s1, -down, -right), _inner(s2, 0, 0))
        assert sums is not None
        total = sums if total is None else total + sums
    assert total is not None
    return total


def _inner(pixels: NDArray[Any], row: int, column: int) -> NDArray[Any]:
    height, width = pixels.shape[1:]
    return pixels[:, LARGEST + row : height - LARGEST + row, LARGEST + column : width - LARGEST + column]


def published() -> list[Published]:
    """The scenes as they are."""
    return [
        Published(name, estimate_shift(scene_sums(pairs)), _of_halves(pairs))
        for name, pairs in pairs_by_scene().items()
    ]


def _of_halves(pairs: Pairs) -> tuple[Shift, Shift]:
    one, other = split(pairs)
    return estimate_shift(scene_sums(one)), estimate_shift(scene_sums(other))


def split(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """A scene in two: every other piece, or the left and the right of one tile; halves have 60 pixels or more."""
    if len(pairs) > 1:
        return pairs[::2], pairs[1::2]
    width = pairs[0][0].shape[2]
    part = max(width // 2, 60)
    return [(s1[..., :part], s2[..., :part]) for s1, s2 in pairs], [
        (s1[..., -part:], s2[..., -part:]) for s1, s2 in pairs
    ]


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
            found.append((one, other, estimate_shift(scene_sums(mixed)).clarity))
    return found


def fit_clarity(clarities: list[float]) -> float:
    """The 98 % of unrelated pairs."""
    return float(np.percentile(clarities, 98))


def curve(null: list[tuple[str, str, float]], as_published: list[Published]) -> list[Injected]:
    """All scenes moved by 0 to 8 pixels in four directions, judged by the threshold of the other half of the scenes."""
    found = []
    scenes = pairs_by_scene()
    natural = {scene.scene: scene for scene in as_published}
    for fit, judge in halves(list(scenes)):
        clear = fit_clarity([clarity for one, other, clarity in null if one in fit and other in fit])
        for name in sorted(judge):
            parts = split(scenes[name])
            for pixels, down, right in _moves():
                shift = estimate_shift(scene_sums(scenes[name], down, right))
                after = [
                    _off(moved, down + known.down, right + known.right) <= 1
                    for part, known in zip(parts, reversed(natural[name].halves), strict=True)
                    if known.clarity >= clear
                    and (moved := estimate_shift(scene_sums(part, down, right))).clarity >= clear
                ]
                is_clear = shift.clarity >= clear
                found.append(
                    Injected(
                        name,
                        pixels,
                        is_clear,
                        is_clear and shift.pixels >= SHIFTED,
                        is_clear and _off(shift, down, right) <= 1,
                        tuple(after),
                    )
                )
    return found


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
