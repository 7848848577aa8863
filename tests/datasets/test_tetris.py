from __future__ import annotations

import numpy as np
import pytest

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.datasets.tetris import PIECES, placements

CELLS = {(row, column) for row in range(4) for column in range(4)}


def neighbours(cell: tuple[int, int]) -> set[tuple[int, int]]:
    row, column = cell
    return {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & CELLS


def all_tetrominoes() -> set[frozenset[tuple[int, int]]]:
    """Every connected set of four cells of the 4x4 grid, grown cell by cell."""
    grown = {frozenset({cell}) for cell in CELLS}
    for _ in range(3):
        grown = {shape | {cell} for shape in grown for one in shape for cell in neighbours(one) - shape}
    return grown


def test_with_the_square_the_placements_are_all_tetrominoes() -> None:
    square = {frozenset({(r, c), (r + 1, c), (r, c + 1), (r + 1, c + 1)}) for r in range(3) for c in range(3)}
    images = [image for piece in PIECES for image in placements(piece)]
    placed = [frozenset((int(row), int(column)) for row, column in np.argwhere(image)) for image in images]
    assert len(placed) == len(set(placed))
    assert set(placed) | square == all_tetrominoes()
    assert not set(placed) & square


@pytest.mark.parametrize(("piece", "neighbour_counts"), [("I", [1, 1, 2, 2]), ("T", [1, 1, 1, 3])])
def test_pieces_have_their_shape(piece: str, neighbour_counts: list[int]) -> None:
    for image in placements(piece):
        cells = {(int(row), int(column)) for row, column in np.argwhere(image)}
        assert sorted(len(neighbours(cell) & cells) for cell in cells) == neighbour_counts


def test_splits_show_every_placement_under_their_own_noise() -> None:
    tetris = load_image_set(DatasetOptions(name="tetris"))
    counts = [len(placements(piece)) for piece in PIECES]
    assert (sum(counts), tetris.classes, tetris.size) == (104, ("I", "L", "S", "T"), 4)
    everything = []
    for split, draws in ((tetris.train, 10), (tetris.validation, 2), (tetris.test, 2)):
        np.testing.assert_array_equal(np.bincount(split.labels), draws * np.array(counts))
        everything.append(split.images.reshape(len(split), -1))
    assert len(np.unique(np.concatenate(everything), axis=0)) == 14 * 104


def test_pixels_are_as_described() -> None:
    pixels = load_image_set(DatasetOptions(name="tetris")).train.images / 255
    level = np.where(np.arange(400_000) % 4, 0.1, 0.9)
    drawn = (level + 0.1 * np.random.default_rng(1).standard_normal(len(level))).clip(0, 1)
    assert pixels.mean() == pytest.approx(drawn.mean(), abs=0.005)
    assert pixels.std() == pytest.approx(drawn.std(), abs=0.005)
    assert (np.sort(pixels.reshape(-1, 16), axis=1)[:, 12:] > 0.5).mean() > 0.999
