"""Simulated 4x4 images of tetris pieces: the smallest image set of the published zoos, made here without a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.images import ImageSplit
from geozoo.datasets.prepare import prepare
from geozoo.datasets.record import Decoded, ImageSetRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.datasets.prepare import Preparation

SIDE = 4
PIECES = {"I": ("####",), "L": ("###", "#  "), "S": (" ##", "## "), "T": ("###", " # ")}
TRAIN_DRAWS, VALIDATION_DRAWS, TEST_DRAWS = 10, 2, 2
BACKGROUND, FOREGROUND, NOISE = 0.1, 0.9, 0.1
NOISE_SEED = 0


def placements(piece: str) -> NDArray[np.bool_]:
    """All distinct images ``bool [n, 4, 4]`` of a piece, given as its rows: turned, mirrored and moved.

    Mirroring turns L into J and S into Z, so these are one class each.
    """
    shape = np.array([[cell == "#" for cell in row] for row in PIECES[piece]])
    return np.unique([image for turned in _turns(shape) for image in _moves(turned)], axis=0)


def _turns(shape: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    for quarters in range(4):
        turned = np.rot90(shape, quarters)
        yield turned
        yield turned[:, ::-1]


def _moves(shape: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    height, width = shape.shape
    for top in range(SIDE - height + 1):
        for left in range(SIDE - width + 1):
            image = np.zeros((SIDE, SIDE), dtype=bool)
            image[top : top + height, left : left + width] = shape
            yield image


def read_tetris(record: ImageSetRecord, path: str | None, how: Preparation) -> Decoded:
    """Draw the images: every placement of every piece, with ten noise draws to train on and two more for each test.

    A pixel is 0.9 where the piece lies and 0.1 elsewhere, plus normal noise of standard deviation 0.1, cut to [0, 1]
    and scaled to 0..255. The published images are not described beyond 4x4 grey pixels and four classes: pieces, noise
    and number of draws are ours, and the pieces whose mirror images and turns make 104 placements were chosen so that
    there are 1,040 images to train on. All splits show the same placements under noise of their own.
    """
    clean = [placements(piece) for piece in PIECES]
    labels = np.repeat(np.arange(len(clean)), [len(images) for images in clean])
    shown = np.where(np.concatenate(clean), FOREGROUND, BACKGROUND)
    noise = np.random.Generator(np.random.PCG64(NOISE_SEED))

    def draw(draws: int) -> ImageSplit:
        pixels = shown + NOISE * noise.standard_normal((draws, *shown.shape))
        images = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8).reshape(-1, 1, SIDE, SIDE)
        return ImageSplit(prepare(images, how), np.tile(labels, draws))

    return Decoded(
        classes=record.classes or (), pool=draw(TRAIN_DRAWS), validation=draw(VALIDATION_DRAWS), test=draw(TEST_DRAWS)
    )


TETRIS = ImageSetRecord(
    name="tetris",
    read=read_tetris,
    classes=tuple(PIECES),
    channels=1,
    size=SIDE,
    mean=(0.0,),  # the network has no biases, so the mean of the pixels is left in for it
    std=(1.0,),
    validation=0,
    test=0,
    path="refused",
)
