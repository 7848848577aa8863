from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as reference

from geozoo.ssl.augment import Geometry, luminance, recolour
from geozoo.ssl.experiment import AugmentationSettings, JitterSettings
from geozoo.weights.draws import RowDraws

EVERYTHING = AugmentationSettings(crop=12, zoom=(0.3, 1.0), flip=True, rotate=True)


def draws(total: int = 8, rows: slice | None = None, seed: int = 0) -> RowDraws:
    return RowDraws(torch.Generator().manual_seed(seed), total, rows or slice(0, total))


def ramp(rows: int = 8, size: int = 16) -> torch.Tensor:
    """Every pixel holds its own number, every chip another hundred thousand."""
    numbers = torch.arange(size * size, dtype=torch.float64).reshape(1, 1, size, size)
    return numbers + 100_000 * torch.arange(rows).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("settings", [EVERYTHING, AugmentationSettings(crop=9, flip=True, rotate=True)])
def test_sensors_are_moved_alike(settings: AugmentationSettings) -> None:
    geometry = Geometry.draw(settings, draws())
    one = ramp()
    radar, optical = geometry(one), geometry(torch.cat([one, 3 * one + 5], dim=1))
    torch.testing.assert_close(optical[:, :1], radar)
    torch.testing.assert_close(optical[:, 1:], 3 * radar + 5)


def test_a_mask_goes_with_the_pixels_and_keeps_its_codes() -> None:
    codes = torch.randint(0, 5, (8, 1, 16, 16), generator=torch.Generator().manual_seed(1)).double()
    geometry = Geometry.draw(EVERYTHING, draws())
    moved = geometry(codes, categorical=True)
    assert set(moved.unique().tolist()) <= set(range(5))
    # Blocks of one code are moved alike by both interpolations, away from their borders.
    blocks = torch.ones(8, 1, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(geometry(blocks, categorical=True), geometry(blocks))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_flips_and_turns_are_torchvisions(turns: int, flips: tuple[bool, bool]) -> None:
    pixels = ramp(3)
    geometry = Geometry(flips=torch.tensor([flips] * 3), turns=torch.tensor([turns] * 3))
    expected = reference.vertical_flip(pixels) if flips[0] else pixels
    expected = reference.horizontal_flip(expected) if flips[1] else expected
    torch.testing.assert_close(geometry(pixels), torch.rot90(expected, turns, (2, 3)))


def test_a_crop_is_a_part_of_the_chip_everywhere_alike_often() -> None:
    geometry = Geometry.draw(AugmentationSettings(crop=14), draws(4000))
    corners = geometry(ramp(4000))[:, 0, 0, 0].long() % 100_000
    rows, columns = corners // 16, corners % 16
    counts = torch.bincount(rows * 3 + columns, minlength=9)
    assert counts.shape == (9,)  # three places down, three across
    assert counts.min() > 350  # 444 expected


def test_a_zoom_reads_the_part_it_names() -> None:
    """A plane stays a plane: what is read is height x row + place, in closed form."""
    size = 32
    down, across = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack([down, across]).double()[None] + 0.5  # coordinates of the pixels' middles
    zoom = torch.tensor([[0.5, 0.25, 0.4, 0.8]], dtype=torch.float64)
    seen = Geometry(zoom=zoom)(pixels)[0]
    middles = (torch.arange(size).double() + 0.5) / size
    rows = (0.4 * (1 - 0.5) + 0.5 * middles) * size
    columns = (0.8 * (1 - 0.25) + 0.25 * middles) * size
    torch.testing.assert_close(seen[0], rows[:, None].expand(size, size))
    torch.testing.assert_close(seen[1], columns[None, :].expand(size, size))


def test_zooms_cover_the_areas_and_aspects_they_may() -> None:
    zoom = Geometry.draw(AugmentationSettings(zoom=(0.2, 0.6)), draws(5000)).zoom
    assert zoom is not None
    height, width = zoom[:, 0], zoom[:, 1]
    area, aspect = height * width, width / height
    assert 0.2 <= area.min() < 0.21
    assert 0.59 < area.max() <= 0.6
    assert 0.75 <= aspect.min() < 0.76
    assert 1.32 < aspect.max() <= 4 / 3 + 1e-5


def test_evaluation_sees_the_middle() -> None:
    pixels = ramp(2)
    seen = Geometry.centred(AugmentationSettings(crop=8, flip=True), 2, "cpu")(pixels)
    torch.testing.assert_close(seen, reference.center_crop(pixels, [8, 8]))
    assert Geometry.centred(AugmentationSettings(zoom=(0.5, 1.0)), 2, "cpu")(pixels) is pixels


def test_jitter_is_torchvisions_without_its_clipping() -> None:
    settings = JitterSettings(brightness=0.4, contrast=0.4, saturation=0.4, probability=1.0)
    pixels = 0.3 + 0.2 * torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(0))  # far from 0 and 1
    jittered = recolour(pixels, AugmentationSettings(jitter=settings), draws(6))
    factors = 1 + (2 * draws(6).uniform(4)[:, :3] - 1) * 0.4
    for row, (brightness, contrast, saturation) in enumerate(factors.tolist()):
        expected = reference.adjust_brightness(pixels[row], brightness)
        expected = reference.adjust_contrast(expected, contrast)
        expected = reference.adjust_saturation(expected, saturation)
        torch.testing.assert_close(jittered[row], expected, atol=2e-4, rtol=0)


def test_luminance_is_torchvisions_gray() -> None:
    pixels = torch.rand(2, 3, 5, 5)
    torch.testing.assert_close(luminance(pixels), reference.rgb_to_grayscale(pixels), atol=2e-4, rtol=0)
    torch.testing.assert_close(luminance(pixels[:, :2]), pixels[:, :2].mean(1, keepdim=True))


def test_blur_is_torchvisions() -> None:
    pixels = torch.rand(4, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    blurred = recolour(pixels, AugmentationSettings(blur=1.0), draws(4))
    sigmas = 0.1 + 1.9 * draws(4).uniform(2)[:, 0]
    for row, sigma in enumerate(sigmas.tolist()):
        expected = reference.gaussian_blur(pixels[row], [7, 7], [sigma, sigma])
        torch.testing.assert_close(blurred[row, :, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_probabilities_hold(share: float) -> None:
    pixels = torch.rand(2000, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    changed = recolour(pixels, AugmentationSettings(grayscale=share), draws(2000))
    gray = (changed - changed.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6
    assert abs(gray.float().mean().item() - share) < 0.04


def test_rows_are_drawn_alike_however_many_workers_share_them() -> None:
    settings = AugmentationSettings(
        zoom=(0.3, 1.0),
        flip=True,
        rotate=True,
        grayscale=0.5,
        blur=0.5,
        jitter=JitterSettings(brightness=0.4, contrast=0.4, saturation=0.4, bands=0.2),
    )

    def view(rows: slice) -> torch.Tensor:
        own = draws(8, rows)
        return recolour(Geometry.draw(settings, own)(pixels[rows]), settings, own)

    pixels = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    whole = view(slice(0, 8))
    parts = torch.cat([view(slice(0, 3)), view(slice(3, 3)), view(slice(3, 8))])
    torch.testing.assert_close(parts, whole)
