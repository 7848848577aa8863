from __future__ import annotations

import collections

import pytest
import torch

from geozoo.hyper.models.windows import draw_window, halo_windows


@pytest.mark.parametrize("length", [1, 7, 16, 17, 23, 40, 41, 100])
@pytest.mark.parametrize(("window", "halo"), [(16, 4), (16, 0), (9, 4), (7, 3)])
def test_windows_keep_every_token_once_with_its_halo(length: int, window: int, halo: int) -> None:
    kept = []
    for part in halo_windows(length, window, halo):
        seen = range(length)[part.seen]
        inner = seen[part.kept]
        assert len(seen) == min(window, length)
        assert inner[0] - seen[0] >= min(halo, inner[0])
        assert seen[-1] - inner[-1] >= min(halo, length - 1 - inner[-1])
        kept += list(inner)
    assert kept == list(range(length))


def test_edge_windows_have_both_halos_inside() -> None:
    """The published setting: 256 tokens in a window, 128 of them kept."""
    first, second, third, last = halo_windows(512, 256, 64)
    assert (first.seen, first.kept) == (slice(0, 256), slice(0, 128))
    assert (second.seen, second.kept) == (slice(64, 320), slice(64, 192))
    assert (third.seen, third.kept) == (slice(192, 448), slice(64, 192))
    assert (last.seen, last.kept) == (slice(256, 512), slice(128, 256))


def test_drawn_windows_follow_their_closed_form() -> None:
    """Starts inside are equally likely; both ends get what would hang over: window / (length + window - 1)."""
    length, window, draws = 20, 8, 20_000
    generator = torch.Generator().manual_seed(0)
    starts = collections.Counter(draw_window(length, window, generator).start for _ in range(draws))
    assert set(starts) == set(range(length - window + 1))
    for start, count in starts.items():
        chance = (window if start in (0, length - window) else 1) / (length + window - 1)
        assert abs(count / draws - chance) < 5 * (chance / draws) ** 0.5
    assert draw_window(5, 8, generator) == slice(0, 5)
