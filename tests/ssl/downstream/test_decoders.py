"""Heads that answer for every pixel: shapes, gradients, the decoder against Swin-Unet's own arithmetic, learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from geozoo.eo.tiles import IGNORE
from geozoo.ssl.augment import Geometry
from geozoo.ssl.downstream.data import LabelledChips
from geozoo.ssl.downstream.decoders import MapHead, PatchExpand, SwinDecoder
from geozoo.ssl.downstream.experiment import FitSettings
from geozoo.ssl.downstream.fit import fit_heads, score_heads
from geozoo.ssl.downstream.heads import Encoders, make_head
from geozoo.ssl.downstream.metrics import ClassCounts
from geozoo.ssl.experiment import AugmentationSettings, ViewSettings
from geozoo.ssl.views import View, Views
from geozoo.weights.draws import RowDraws

RESNET = {"name": "resnet18", "options": {"channels": [8, 8, 8, 8], "output_stride": 8, "zero_init_last": False}}
SWIN = {
    "name": "swin_tiny_patch4_window7_224",
    "options": {"embed_dim": 8, "depths": [2, 1, 1], "num_heads": [2, 2, 2], "window_size": 3},
}
BANDS = {"s1": ("VV", "VH"), "s2": ("B02", "B03", "B04")}


def make_views(encoder: dict[str, Any], size: int, count: int) -> Views:
    torch.manual_seed(0)
    return Views(
        {
            name: View(ViewSettings.model_validate({"bands": {name: "all"}, "encoder": encoder}), {name: bands}, size)
            for name, bands in list(BANDS.items())[:count]
        }
    )


def draw_chips(views: Views, n: int, size: int) -> dict[str, torch.Tensor]:
    return {name: torch.randn(n, len(view.bands[name]), size, size) for name, view in views.each()}


def logits_of(views: Views, size: int, *, frozen: bool = False) -> tuple[torch.Tensor, torch.nn.Module]:
    encoders = Encoders(views, frozen=frozen, pixels=True)
    head = make_head(views, "segmentation", 5, size, frozen=frozen)
    pixels = draw_chips(views, 2, size)
    return head(encoders.features(pixels, Geometry())), head


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("encoder", "size", "kind"), [(RESNET, 32, MapHead), (RESNET, 37, MapHead), (SWIN, 24, SwinDecoder)]
)
def test_every_pixel_gets_logits(encoder: dict[str, Any], size: int, count: int, kind: type) -> None:
    logits, head = logits_of(make_views(encoder, size, count), size)
    assert isinstance(head, kind)
    assert logits.shape == (2, 5, size, size)


@pytest.mark.parametrize("size", [20, 28, 36])
def test_maps_of_odd_size_are_padded_by_the_encoder_and_cut_by_the_decoder(size: int) -> None:
    views = make_views(SWIN, size, 2)
    pyramid = views.each()[0][1].pyramid(torch.randn(1, 2, size, size))
    sides = [level.shape[2] for level in pyramid]
    assert sides == [size // 4, math.ceil(size / 8), math.ceil(size / 16)]
    logits, _ = logits_of(views, size)
    assert logits.shape == (2, 5, size, size)


def test_views_of_different_encoders_share_a_linear_head() -> None:
    views = make_views(RESNET, 24, 2)
    views["s2"] = make_views(SWIN, 24, 2)["s2"]
    logits, head = logits_of(views, 24)
    assert isinstance(head, MapHead)
    assert logits.shape == (2, 5, 24, 24)


def test_a_pyramid_is_what_the_stages_read_and_the_normed_end() -> None:
    view = make_views(SWIN, 24, 1).each()[0][1].eval()
    network, pixels = view.encoder.network, torch.randn(2, 2, 24, 24)
    read: list[torch.Tensor] = []
    for stage in network.layers:
        stage.blocks.register_forward_pre_hook(lambda module, given: read.append(given[0]))
    with torch.no_grad():
        end = network.forward_features(view._seen(pixels))
        expected = [*read[:2], end]
        found = view.pyramid(pixels)
        torch.testing.assert_close(found[-1], view.maps(pixels))
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.permute(0, 3, 1, 2))


def test_patches_expand_as_swin_unet_says() -> None:
    """``rearrange(x, 'b h w (p1 p2 c) -> b (h p1) (w p2) c')`` after a linear layer, then LayerNorm; as plain loops."""
    torch.manual_seed(0)
    expand, maps = PatchExpand(6, 3, 2), torch.randn(2, 4, 5, 6)
    wide = expand.layer(maps)
    expected = torch.empty(2, 8, 10, 3)
    for row in range(8):
        for column in range(10):
            start = 3 * (2 * (row % 2) + column % 2)
            expected[:, row, column] = wide[:, row // 2, column // 2, start : start + 3]
    torch.testing.assert_close(expand(maps), expand.norm(expected))


def test_the_decoder_of_d_swin_has_the_published_sizes() -> None:
    """Two Swin-T at 224 pixels: 96 channels at 56x56 from each, 192 brought to 224x224; depths mirrored, heads too."""
    with torch.device("meta"):
        views = make_views({"name": "swin_tiny_patch4_window7_224"}, 224, 2)
        head = make_head(views, "segmentation", 8, 224, frozen=False)
    assert isinstance(head, SwinDecoder)
    for up in head.up:
        assert [len(blocks) for blocks in up.blocks] == [6, 2, 2]
        assert [blocks[0].attn.num_heads for blocks in up.blocks] == [12, 6, 3]
        assert [blocks[0].dim for blocks in up.blocks] == [384, 192, 96]
        assert [blocks[-1].shift_size for blocks in up.blocks] == [(3, 3)] * 3
        assert [tuple(layer.weight.shape) for layer in up.join] == [(384, 768), (192, 384), (96, 192)]
        assert [tuple(one.layer.weight.shape) for one in up.expand] == [(1536, 768), (768, 384), (384, 192)]
    assert tuple(head.expand.layer.weight.shape) == (16 * 192, 192)
    assert tuple(head.layer.weight.shape) == (8, 192, 1, 1)


@pytest.mark.parametrize("encoder", [RESNET, SWIN], ids=["resnet", "swin"])
@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_reach_what_is_trained(encoder: dict[str, Any], frozen: bool) -> None:
    views = make_views(encoder, 24, 2)
    logits, head = logits_of(views, 24, frozen=frozen)
    logits.square().mean().backward()
    reached = {name for name, one in head.named_parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    assert reached == {name for name, _ in head.named_parameters()}
    of_encoders = {name: one.grad for name, one in views.named_parameters()}
    if frozen:
        assert all(grad is None for grad in of_encoders.values())
    else:
        unreached = {name for name, grad in of_encoders.items() if grad is None or not grad.abs().sum() > 0}
        assert unreached == set()


def paint(n: int, size: int, seed: int = 0) -> tuple[dict[str, np.ndarray[Any, Any]], torch.Tensor]:
    """Chips of 8x8 squares, dark or bright, and which pixels are bright; a border counts for nothing."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 2, (n, 1, size // 8, size // 8)).repeat(8, 2).repeat(8, 3)
    radar = 2.0 * bright - 1 + rng.normal(0, 0.3, (n, 2, size, size))
    truth = torch.from_numpy(bright).long()
    truth[:, :, 0] = IGNORE
    return {"s1": radar.astype(np.float32)}, truth


@pytest.mark.parametrize(
    ("encoder", "rate", "updates"), [(RESNET, 1e-2, 100), (SWIN, 5e-3, 60)], ids=["resnet", "swin"]
)
def test_which_pixels_are_bright_is_learned(encoder: dict[str, Any], rate: float, updates: int) -> None:
    views = make_views(encoder, 24, 1)
    train, test = (LabelledChips(*paint(16, 24, seed), "segmentation", 2) for seed in (1, 2))
    settings, augmentation = FitSettings(updates=updates, batch_size=16), AugmentationSettings(flip=True, rotate=True)
    encoders = Encoders(views, frozen=False, pixels=True)
    head = make_head(views, "segmentation", 2, 24, frozen=False)
    before = score_heads(encoders, [head], test, augmentation)[0]
    fit_heads(encoders, [head], [rate], train, settings, augmentation, 0)
    score = score_heads(encoders, [head], test, augmentation)[0]
    assert before.main < 0.8
    assert score.main == score.mean_iou > 0.9


def test_masks_move_with_the_pixels() -> None:
    """A mask that is also painted into a band stays equal to that band, whatever is drawn."""
    codes = torch.randint(0, 5, (12, 24, 24))
    pixels = {"s1": codes[:, None].float().expand(-1, 2, -1, -1), "s2": codes[:, None].float().expand(-1, 3, -1, -1)}
    data = LabelledChips({}, codes[:, None], "segmentation", 5)
    settings = AugmentationSettings(crop=17, flip=True, rotate=True)
    draws = RowDraws.of(torch.Generator().manual_seed(3), 12)
    geometry = Geometry.draw(settings, draws)
    views = make_views(RESNET, 17, 2)
    answers = data.answers(codes, geometry)
    assert answers.shape == (12, 17, 17)
    assert not torch.equal(answers, codes[:, 3:20, 3:20])
    for _, view in views.each():
        drawn = view.draw(pixels, geometry, settings, draws)
        for band in range(drawn.shape[1]):
            assert torch.equal(drawn[:, band].long(), answers)


def test_zoomed_masks_keep_their_codes_and_their_places() -> None:
    codes = (torch.arange(24) // 8)[None, None, :].expand(6, 24, 24).contiguous()
    data = LabelledChips({}, codes[:, None], "segmentation", 3)
    geometry = Geometry.draw(AugmentationSettings(zoom=(0.3, 0.9)), RowDraws.of(torch.Generator().manual_seed(0), 6))
    answers, pixels = data.answers(codes, geometry), geometry(codes[:, None].float())[:, 0]
    assert set(answers.unique().tolist()) <= {0, 1, 2}
    assert ((answers - pixels).abs() <= 0.5 + 1e-4).all()
    assert not torch.equal(answers, codes)


def test_the_mean_iou_is_that_of_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 4, (6, 9, 9), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.2] = IGNORE
    logits = torch.randn(6, 4, 9, 9, generator=generator)
    ours, theirs = ClassCounts(4, pixels=True), MulticlassJaccardIndex(4, ignore_index=IGNORE)
    for some in (slice(0, 4), slice(4, 6)):  # of unequal size: counts add up, means over batches would not
        ours.add(logits[some], truth[some])
        theirs.update(logits[some], truth[some])
    assert ours.score().main == pytest.approx(float(theirs.compute()))
    absent = MulticlassJaccardIndex(5, ignore_index=IGNORE, average="none")
    wider, found = ClassCounts(5, pixels=True), torch.cat([logits, torch.full((6, 1, 9, 9), -9.0)], 1)
    wider.add(found, truth)
    assert wider.score().main == pytest.approx(float(absent(found, truth)[:4].mean()))
