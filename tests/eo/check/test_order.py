from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from geozoo.eo.bands import SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.check import Finding, Undecided
from geozoo.eo.check.facts import Impression, RasterFacts, TileFacts
from geozoo.eo.check.order import PAIRS, WEIGHTS, cirrus_is_darkest, looks_exchanged, pair_features
from geozoo.eo.check.votes import check_looks_exchanged
from tests.support.tiles import needs, real


def draw_bands(seed: int = 0) -> dict[str, Any]:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(12, 60, 60)), (1, 4, 4))
    return dict(zip(SENTINEL2_L2A, 500 + 2000 * np.exp(smooth), strict=True))


def test_exchanging_two_bands_changes_the_sign() -> None:
    bands = draw_bands()
    right = pair_features(bands)
    assert right is not None
    for place, (one, other) in enumerate(PAIRS):
        wrong = pair_features(bands | {one: bands[other], other: bands[one]})
        assert wrong is not None
        np.testing.assert_allclose(wrong[place], -right[place], atol=1e-12)


def test_features_are_differences_of_correlations_at_60_m() -> None:
    bands = draw_bands()
    coarse = {
        name: np.array([[band[row : row + 6, at : at + 6].mean() for at in range(0, 60, 6)] for row in range(0, 60, 6)])
        for name, band in bands.items()
    }
    logs = {name: np.log(band).ravel() for name, band in coarse.items()}

    def z(one: str, other: str) -> float:
        return float(np.arctanh(np.clip(np.corrcoef(logs[one], logs[other])[0, 1], -0.995, 0.995)))

    features = pair_features(bands)
    assert features is not None
    for row, (one, other) in zip(features, PAIRS, strict=True):
        others = [name for name in SENTINEL2_L2A if name not in (one, other)]
        expected = [z(one, name) - z(other, name) for name in others]
        np.testing.assert_allclose(row, [*expected, logs[one].mean() - logs[other].mean()], atol=1e-9)


def test_how_coarse_bands_are_stored_does_not_matter() -> None:
    bands = draw_bands()
    native = bands | {name: bands[name].reshape(30, 2, 30, 2).mean((1, 3)) for name in ("B05", "B11")}
    native["B09"] = bands["B09"].reshape(10, 6, 10, 6).mean((1, 3))
    whole, by_band = pair_features(bands), pair_features(native)
    assert whole is not None
    assert by_band is not None
    np.testing.assert_allclose(whole, by_band, atol=1e-9)


@pytest.mark.parametrize(
    "bands",
    [
        {name: band for name, band in draw_bands().items() if name != "B09"},
        {name: band[:20, :20] for name, band in draw_bands().items()},
        {name: band + 4000 * (name not in ("B11", "B12")) for name, band in draw_bands().items()},
        draw_bands() | {"B02": np.full((60, 60), 7.0)},
    ],
    ids=["a band missing", "too small", "snow", "constant"],
)
def test_what_is_not_decidable(bands: dict[str, Any]) -> None:
    assert pair_features(bands) is looks_exchanged(bands) is None


def test_every_pair_has_its_weights() -> None:
    assert tuple(WEIGHTS) == PAIRS
    assert {len(weights) for weights in WEIGHTS.values()} == {len(SENTINEL2_L2A) - 2 + 1}


def test_cirrus() -> None:
    bands = dict(zip(SENTINEL2_L1C, 100 * np.arange(13)[:, None] + np.arange(50.0), strict=True))
    assert cirrus_is_darkest(bands) is False
    assert cirrus_is_darkest(bands | {"B10": bands["B10"] - 5000}) is True
    assert cirrus_is_darkest(draw_bands()) is None


def facts(look: Impression) -> TileFacts:
    raster = RasterFacts("s2", "a.tif", " ".join(SENTINEL2_L2A), "uint16", "projected", 10, None, None, look)
    return TileFacts("a", None, (raster,), {})


def vote(*against: bool) -> list[Finding | Undecided]:
    looks = [Impression(exchanged=(False,) * 5 + (wrong,) + (False,) * 2) for wrong in against]
    return list(check_looks_exchanged([facts(look) for look in looks]))


def test_the_majority_decides() -> None:
    (found,) = vote(True, True, False)
    assert isinstance(found, Finding)
    assert (found.band, found.value) == (" ".join(PAIRS[5]), "in 2 of 3 tiles each looks as the other usually does")
    assert vote(True, False) == vote(False, False, True) == []


def test_without_a_vote_it_is_not_decidable() -> None:
    (said,) = check_looks_exchanged([facts(Impression(carries_offset=False))])
    assert isinstance(said, Undecided)


@needs("s1s2_pairs64")
def test_real_pieces_of_twelve_scenes() -> None:
    """Seven misreadings, each by the vote of one piece of every scene that the snow and the winter leave."""
    with np.load(real("s1s2_pairs64") / "s1s2_pairs_64.npz") as packed:
        scenes = [source.split("@")[0] for source in packed["source"]]
        pieces = [packed["s2"][scenes.index(scene)] for scene in dict.fromkeys(scenes)]
    bands = [dict(zip(SENTINEL2_L2A, piece, strict=True)) for piece in pieces]

    def voted(order: dict[str, str]) -> set[str]:
        looks = [looks_exchanged({name: piece[order.get(name, name)] for name in piece}) for piece in bands]
        said = check_looks_exchanged([facts(Impression(exchanged=look)) for look in looks])
        return {word.band for word in said if isinstance(word, Finding)}

    assert voted({}) == set()
    for one, other in PAIRS:
        assert f"{one} {other}" in voted({one: other, other: one})
    assert voted({"B8A": "B09", "B09": "B11", "B11": "B12", "B12": "B8A"}) != set()
