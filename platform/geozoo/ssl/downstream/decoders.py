"""From feature maps to logits of every pixel: one linear layer, or the decoder of Swin-Unet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

FINEST = 4
"""How far the finest maps of a Swin are brought up to pixels: the side of its patches."""


class MapHead(nn.Module):
    """A linear layer at every place of the coarsest maps of all views, side by side, enlarged to the chip.

    Maps of other sizes are first enlarged to the first view's. Both enlargements are bilinear.

    Args:
        dim: width of all maps together.
        classes: how many.
        size: side of a chip in pixels.
        standardise: put BatchNorm without parameters before the layer, so that rates compare on frozen features.
    """

    def __init__(self, dim: int, classes: int, size: int, *, standardise: bool) -> None:
        super().__init__()
        self.size = size
        self.normalise: nn.Module = nn.BatchNorm2d(dim, affine=False) if standardise else nn.Identity()
        self.layer = nn.Conv2d(dim, classes, 1)

    def forward(self, pyramids: Sequence[Sequence[Tensor]]) -> Tensor:
        """Logits ``[n, classes, size, size]`` of the maps of every view, from fine to coarse."""
        coarsest = [pyramid[-1] for pyramid in pyramids]
        side = coarsest[0].shape[2]
        maps = torch.cat([_enlarged(one, side) for one in coarsest], dim=1)
        return _enlarged(self.layer(self.normalise(maps)), self.size)


class SwinDecoder(nn.Module):
    """One `SwinUp` a view, their fine maps side by side, brought to pixels, and a linear layer (Cao et al., 2021).

    As in D-Swin (Scheibenreif et al., 2022), which has two views. Linear layers start as Swin's do.

    Args:
        stages: of every view's encoder, `geozoo.ssl.encoders.TimmEncoder.stages`.
        classes: how many.
        size: side of a chip in pixels.
    """

    def __init__(self, stages: Sequence[Sequence[Any]], classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.up = nn.ModuleList(SwinUp(one) for one in stages)
        width = sum(one[0].blocks[0].dim for one in stages)
        self.expand = PatchExpand(width, width, FINEST)
        self.layer = nn.Conv2d(width, classes, 1, bias=False)
        self.apply(_start_as_swin)

    def forward(self, pyramids: Sequence[Sequence[Tensor]]) -> Tensor:
        """Logits ``[n, classes, size, size]`` of the maps of every view, from fine to coarse."""
        fine = [up(pyramid) for up, pyramid in zip(self.up, pyramids, strict=True)]
        pixels = self.expand(torch.cat(fine, dim=3)).permute(0, 3, 1, 2)
        logits: Tensor = self.layer(pixels[:, :, : self.size, : self.size])
        return logits


class SwinUp(nn.Module):
    """The mirrored Swin: twice as fine from stage to stage, each joined with the encoder's maps of its size.

    Where an encoder padded maps of odd size, what that added is cut off again.
    """

    def __init__(self, stages: Sequence[Any]) -> None:
        super().__init__()
        widths = [stage.blocks[0].dim for stage in stages]
        self.expand = nn.ModuleList(PatchExpand(width, width // 2, 2) for width in reversed(widths[1:]))
        self.join = nn.ModuleList(nn.Linear(2 * width, width) for width in reversed(widths[:-1]))
        self.blocks = nn.ModuleList(
            nn.Sequential(*map(_block_like, stage.blocks)) for stage in reversed(list(stages)[:-1])
        )
        self.norm = nn.LayerNorm(widths[0])

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Maps of the finest size ``[n, height, width, channels]``."""
        *skips, features = (level.permute(0, 2, 3, 1) for level in pyramid)
        for expand, join, blocks, skip in zip(self.expand, self.join, self.blocks, reversed(skips), strict=True):
            finer = expand(features)[:, : skip.shape[1], : skip.shape[2]]
            features = blocks(join(torch.cat([finer, skip], dim=3)))
        normed: Tensor = self.norm(features)
        return normed


class PatchExpand(nn.Module):
    """``factor`` times finer maps by a linear layer: ``[n, h, w, before]`` to ``[n, factor h, factor w, after]``."""

    def __init__(self, before: int, after: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.layer = nn.Linear(before, factor * factor * after, bias=False)
        self.norm = nn.LayerNorm(after)

    def forward(self, maps: Tensor) -> Tensor:
        """Every place becomes a square of places."""
        n, height, width, _ = maps.shape
        squares = self.layer(maps).view(n, height, width, self.factor, self.factor, -1)
        finer = squares.permute(0, 1, 3, 2, 4, 5).reshape(n, height * self.factor, width * self.factor, -1)
        normed: Tensor = self.norm(finer)
        return normed


def _block_like(block: Any) -> nn.Module:
    """A block with random weights in the place of an encoder's: same width, heads, windows, shift and drop-path."""
    from timm.models.swin_transformer import SwinTransformerBlock

    made: nn.Module = SwinTransformerBlock(
        block.dim,
        block.input_resolution,
        num_heads=block.attn.num_heads,
        window_size=block.window_size,
        shift_size=block.shift_size,
        dynamic_mask=block.dynamic_mask,
        mlp_ratio=block.mlp_ratio,
        drop_path=getattr(block.drop_path1, "drop_prob", 0.0),
    )
    return made


def _start_as_swin(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _enlarged(maps: Tensor, side: int) -> Tensor:
    if maps.shape[2] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
