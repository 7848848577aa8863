"""How a view of a chip is drawn: one geometry for all sensors, then changes of colour.

All functions take ``[n, bands, height, width]`` on any device and numbers from `geozoo.weights.draws.RowDraws`, so
that the rows of a batch are augmented alike however many workers share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from geozoo.ssl.experiment import AugmentationSettings, JitterSettings
    from geozoo.weights.draws import RowDraws

ASPECT = (3 / 4, 4 / 3)
"""Width to height of a zoomed part, as in SimCLR."""
BLUR_SIGMA = (0.1, 2.0)
_BLUR_REACH = 3


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of each row come from; apply the same one to everything that shows the same ground.

    Attributes:
        crop: side of the square that is cut, or None.
        corner: ``[n, 2]`` in [0, 1): where the square is among its possible places, downwards and to the right.
        zoom: ``[n, 4]``: height and width of the part as shares of the side, and its place in [0, 1); or None.
        flips: bool ``[n, 2]``: mirrored up and down, left and right; or None.
        turns: int64 ``[n]``: quarter turns against the clock; or None.
    """

    crop: int | None = None
    corner: Tensor | None = None
    zoom: Tensor | None = None
    flips: Tensor | None = None
    turns: Tensor | None = None

    @classmethod
    def draw(cls, settings: AugmentationSettings, draws: RowDraws) -> Geometry:
        """One geometry a row."""
        return cls(
            crop=settings.crop,
            corner=draws.uniform(2) if settings.crop else None,
            zoom=_draw_zoom(settings.zoom, draws) if settings.zoom else None,
            flips=draws.uniform(2) < 0.5 if settings.flip else None,
            turns=(draws.uniform() * 4).long() if settings.rotate else None,
        )

    @classmethod
    def centred(cls, settings: AugmentationSettings, rows: int, device: torch.device | str) -> Geometry:
        """What evaluation sees: the middle square where there is a crop, else the whole chip."""
        return cls(crop=settings.crop, corner=torch.full((rows, 2), 0.5, device=device) if settings.crop else None)

    def __call__(self, pixels: Tensor, *, categorical: bool = False) -> Tensor:
        """Bring pixels to their places; zooming interpolates linearly, or takes the nearest of class codes."""
        if self.crop is not None and self.corner is not None:
            pixels = _cropped(pixels, self.crop, self.corner)
        if self.zoom is not None:
            pixels = _zoomed(pixels, self.zoom, categorical)
        if self.flips is not None:
            pixels = torch.where(self.flips[:, 0, None, None, None], pixels.flip(2), pixels)
            pixels = torch.where(self.flips[:, 1, None, None, None], pixels.flip(3), pixels)
        if self.turns is not None:
            turned = torch.stack([torch.rot90(pixels, turns, (2, 3)) for turns in range(4)])
            pixels = turned[self.turns, torch.arange(len(pixels), device=pixels.device)]
        return pixels


def _draw_zoom(scale: tuple[float, float], draws: RowDraws) -> Tensor:
    """Heights, widths (shares of the side) and places; area uniform in ``scale``, log-aspect uniform in `ASPECT`."""
    area, aspect, down, right = draws.uniform(4).unbind(1)
    size = scale[0] + (scale[1] - scale[0]) * area
    ratio = torch.exp(math.log(ASPECT[0]) + (math.log(ASPECT[1]) - math.log(ASPECT[0])) * aspect)
    height, width = (size / ratio).sqrt().clamp(max=1), (size * ratio).sqrt().clamp(max=1)
    return torch.stack([height, width, down, right], dim=1)


def _zoomed(pixels: Tensor, zoom: Tensor, categorical: bool) -> Tensor:
    if not len(pixels):
        return pixels
    height, width, down, right = zoom.to(pixels.dtype).unbind(1)
    theta = pixels.new_zeros(len(pixels), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = width, (1 - width) * (2 * right - 1)
    theta[:, 1, 1], theta[:, 1, 2] = height, (1 - height) * (2 * down - 1)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    mode = "nearest" if categorical else "bilinear"
    return F.grid_sample(pixels, grid, mode=mode, padding_mode="border", align_corners=False)


def _cropped(pixels: Tensor, side: int, corner: Tensor) -> Tensor:
    n, bands, height, width = pixels.shape
    room = corner.new_tensor([height - side + 1, width - side + 1])
    start = (corner * room).long()
    offsets = torch.arange(side, device=pixels.device)
    rows, columns = start[:, 0, None] + offsets, start[:, 1, None] + offsets
    return pixels[
        torch.arange(n, device=pixels.device)[:, None, None, None],
        torch.arange(bands, device=pixels.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def recolour(pixels: Tensor, settings: AugmentationSettings, draws: RowDraws) -> Tensor:
    """Jitter, grayscale and blur, in this order, in stored units; numbers are drawn whether or not a row is changed."""
    pixels = _jittered(pixels, settings.jitter, draws)
    if settings.grayscale:
        gray = (draws.uniform() < settings.grayscale)[:, None, None, None]
        pixels = torch.where(gray, luminance(pixels).expand_as(pixels), pixels)
    if settings.blur:
        pixels = _blurred(pixels, settings.blur, draws)
    return pixels


def luminance(pixels: Tensor) -> Tensor:
    """Brightness ``[n, 1, height, width]``: ITU-R 601 weights of three bands (red, green, blue), else their mean."""
    if pixels.shape[1] != 3:
        return pixels.mean(1, keepdim=True)
    weights = pixels.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def _jittered(pixels: Tensor, settings: JitterSettings, draws: RowDraws) -> Tensor:
    """Brightness, contrast and saturation as torchvision blends them, in this order, without clipping; then bands."""
    if not (settings.brightness or settings.contrast or settings.saturation or settings.bands):
        return pixels
    draw = draws.uniform(4).to(pixels.dtype)
    strengths = draw.new_tensor([settings.brightness, settings.contrast, settings.saturation])
    factors = 1 + (2 * draw[:, :3] - 1) * strengths
    brightness, contrast, saturation = (factors[:, number, None, None, None] for number in range(3))
    changed = pixels * brightness
    middle = luminance(changed).mean((2, 3), keepdim=True)
    changed = middle + (changed - middle) * contrast
    gray = luminance(changed)
    changed = gray + (changed - gray) * saturation
    if settings.bands:
        each = draws.uniform(pixels.shape[1]).to(pixels.dtype)
        changed = changed * (1 + (2 * each - 1) * settings.bands)[:, :, None, None]
    return torch.where((draw[:, 3] < settings.probability)[:, None, None, None], changed, pixels)


def _blurred(pixels: Tensor, probability: float, draws: RowDraws) -> Tensor:
    """Gaussian blur of a random width in `BLUR_SIGMA` pixels, cut off at three pixels."""
    draw = draws.uniform(2).to(pixels.dtype)
    if not len(pixels):
        return pixels
    sigma = BLUR_SIGMA[0] + (BLUR_SIGMA[1] - BLUR_SIGMA[0]) * draw[:, :1]
    offsets = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=pixels.device, dtype=pixels.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum(1, keepdim=True)
    n, bands, height, width = pixels.shape
    flat = pixels.reshape(1, n * bands, height, width)
    weights = kernel.repeat_interleave(bands, 0)
    padded = F.pad(flat, [_BLUR_REACH] * 4, mode="replicate")
    across = F.conv2d(padded, weights[:, None, None, :], groups=n * bands)
    both = F.conv2d(across, weights[:, None, :, None], groups=n * bands).reshape(pixels.shape)
    return torch.where((draw[:, 1] < probability)[:, None, None, None], both, pixels)
