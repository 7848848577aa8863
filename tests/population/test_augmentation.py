from __future__ import annotations

import numpy as np
import pytest
import torch

from geozoo.population.augmentation import AUGMENTATIONS, crop_and_flip
from geozoo.population.streams import Stream, absorb, stream_key
from geozoo.recipe.model import Training


def moved_by_hand(image: np.ndarray, seed: int, epoch: int, step: int, sample: int) -> np.ndarray:
    """Pad by four, crop, mirror: what torchvision's transforms do, with numbers counted in plain integers."""
    key = absorb(stream_key(seed, Stream.AUGMENTATION, epoch, step), sample)
    down, right, mirror = (absorb(key, word) for word in range(3))
    size = image.shape[-1]
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
    crop = padded[:, down % 9 : down % 9 + size, right % 9 : right % 9 + size]
    return crop[:, :, ::-1] if mirror % 2 else crop


@pytest.mark.parametrize("members", [None, 3])
def test_images_are_moved_and_mirrored_as_by_hand(members: int | None) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(1, 256, ((members or 1), 50, 3, 11, 11), dtype=np.uint8)
    seeds = np.arange(5, 5 + (members or 1))
    stacked = torch.from_numpy(images), torch.from_numpy(seeds)
    ours = crop_and_flip(*(stacked if members else (part[0] for part in stacked)), torch.tensor(2), 7)
    expected = [
        [moved_by_hand(image, int(seed), 2, 7, sample) for sample, image in enumerate(batch)]
        for seed, batch in zip(seeds, images, strict=True)
    ]
    np.testing.assert_array_equal(ours.numpy(), np.array(expected if members else expected[0]))


def test_every_move_is_as_likely_as_another() -> None:
    """A single bright pixel in the middle shows where it went; five standard deviations of a count."""
    count = 20_000
    images = torch.zeros(count, 1, 9, 9, dtype=torch.uint8)
    images[..., 4, 4] = 1
    places = crop_and_flip(images, torch.tensor(3), 1, 0).flatten(1).argmax(1).bincount(minlength=81)
    assert (places - count / 81).abs().max() < 5 * (count / 81) ** 0.5


def test_recipes_know_the_augmentations_there_are() -> None:
    for name in AUGMENTATIONS:
        assert Training(epochs=1, augmentation=name).augmentation == name
    with pytest.raises(ValueError, match="augmentation"):
        Training(epochs=1, augmentation="rotate")
