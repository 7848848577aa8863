from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from geozoo.eo.check import Finding, Undecided
from geozoo.eo.check.across import check_duplicate
from geozoo.eo.check.facts import Impression, RasterFacts, TileFacts
from geozoo.eo.check.near import NEAR, fingerprint, near_pairs
from geozoo.eo.check.votes import check_near_duplicate


def draw_picture(seed: int) -> Any:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(3, 64, 64)), (0, 3, 3))
    return 2000 + 8000 * smooth


def test_copies_are_near_and_others_are_not() -> None:
    draw = np.random.default_rng(0)
    pictures = [draw_picture(seed) for seed in range(20)]
    changed = (pictures[3] * draw.normal(1, 0.01, (3, 64, 64)), pictures[7] * 1.1 + 50, np.rint(pictures[11] / 40))
    prints = [fingerprint(picture) for picture in (*pictures, *changed)]
    found = list(near_pairs([bits for bits in prints if bits is not None]))
    assert [(earlier, later) for earlier, later, _ in found] == [(3, 20), (7, 21), (11, 22)]
    assert all(share < NEAR for _, _, share in found)


def test_hashing_finds_what_comparing_all_pairs_finds() -> None:
    draw = np.random.default_rng(1)
    bits = draw.integers(0, 2, (300, 480), dtype=np.uint8)
    for copy in range(250, 300):
        bits[copy] = bits[copy - 250] ^ (draw.random(480) < 0.03)
    brute = (bits[:, None] != bits[None]).mean(2)
    expected = {(one, two) for one in range(300) for two in range(one + 1, 300) if brute[one, two] <= NEAR}
    found = list(near_pairs([np.packbits(row).tobytes() for row in bits]))
    assert len(expected) == 50
    assert {(earlier, later) for earlier, later, _ in found} == expected
    assert all(abs(share - brute[earlier, later]) < 1e-12 for earlier, later, share in found)


def test_decibels() -> None:
    radar = draw_picture(0)[:2] / 1000 - 20
    near = fingerprint(radar + np.random.default_rng(0).normal(0, 0.1, radar.shape))
    assert [pair[:2] for pair in near_pairs([fingerprint(radar) or b"", near or b""])] == [(0, 1)]


def test_without_texture_there_is_no_fingerprint() -> None:
    assert fingerprint(np.full((3, 64, 64), 500.0)) is None
    assert fingerprint(np.ones((3, 8, 8))) is None
    assert fingerprint(np.full((3, 64, 64), np.nan)) is None


def facts(name: str, digest: bytes, split: str, bits: bytes | None) -> TileFacts:
    raster = RasterFacts(
        "s2", f"{name}.tif", "B02", "uint16", "projected", 10, None, digest, Impression(fingerprint=bits)
    )
    return TileFacts(name, split, (raster,), {})


def test_what_has_no_fingerprint_is_not_decidable() -> None:
    (said,) = check_near_duplicate([facts("a", b"1", "train", None)])
    assert isinstance(said, Undecided)


def test_across_splits_and_not_twice_for_the_same_bytes() -> None:
    bits = fingerprint(draw_picture(0))
    tiles = [facts("a", b"1", "train", bits), facts("b", b"2", "test", bits), facts("c", b"2", "test", bits)]
    (near, *others) = check_near_duplicate(tiles[:2])
    assert others == []
    assert isinstance(near, Finding)
    assert (near.tile, near.file, near.certainty) == ("b", "b.tif", "statistical")
    assert near.value.endswith("across the splits train and test")
    assert list(check_near_duplicate(tiles[1:])) == []
    assert [finding.tile for finding in check_duplicate(tiles[1:])] == ["c"]
