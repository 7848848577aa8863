from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torchvision.transforms.functional import InterpolationMode, rotate

from geozoo.population.augmentation import AUGMENTATIONS, crop_and_flip, flip_and_rotate
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


def turned_by_torchvision(image: torch.Tensor, seed: int, epoch: int, step: int, sample: int) -> torch.Tensor:
    key = absorb(stream_key(seed, Stream.AUGMENTATION, epoch, step), sample)
    angle = 20 * (2 * (absorb(key, 3) >> 8) / 2**24 - 1)
    return rotate(image.flip(-1) if absorb(key, 2) % 2 else image, angle, InterpolationMode.NEAREST)


@pytest.mark.parametrize(("members", "size"), [(None, 64), (3, 11)])
def test_images_are_mirrored_and_turned_as_by_torchvision(members: int | None, size: int) -> None:
    draw = np.random.default_rng(0)
    images = torch.from_numpy(draw.integers(1, 256, ((members or 1), 50, 3, size, size), dtype=np.uint8))
    seeds = torch.arange(5, 5 + (members or 1))
    ours = flip_and_rotate(images if members else images[0], seeds if members else seeds[0], torch.tensor(2), 7)
    expected = [
        torch.stack([turned_by_torchvision(image, int(seed), 2, 7, sample) for sample, image in enumerate(batch)])
        for seed, batch in zip(seeds, images, strict=True)
    ]
    assert torch.equal(ours, torch.stack(expected) if members else expected[0])


def test_angles_are_uniform_within_twenty_degrees() -> None:
    """A bright pixel far out on the right shows the angle, up to its size; Kolmogorov and Smirnov agree."""
    count, size, radius = 4000, 201, 90
    images = torch.zeros(1, 1, size, size, dtype=torch.uint8).expand(count, 1, size, size).clone()
    images[..., 98:103, 100 + radius] = images[..., 98:103, 100 - radius] = 1
    turned = flip_and_rotate(images, torch.tensor(3), 1, 0)[:, 0, :, 101:].float()
    rows = (turned.sum(2) * torch.arange(size)).sum(1) / turned.sum((1, 2)) - 100
    angles = torch.rad2deg(torch.asin(rows / radius)).numpy()
    assert np.abs(angles).max() < 21
    assert kstest(angles, "uniform", (-20, 40)).statistic < 0.03


def test_recipes_know_the_augmentations_there_are() -> None:
    for name in AUGMENTATIONS:
        assert Training(epochs=1, augmentation=name).augmentation == name
    with pytest.raises(ValueError, match="augmentation"):
        Training(epochs=1, augmentation="rotate")
