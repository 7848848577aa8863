from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.ssl.experiment import SplitSettings
from geozoo.ssl.split import chip_labels, colour_statistics, split_chips

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips


def test_parts_are_disjoint_whole_and_of_whole_scenes(chips: Chips) -> None:
    parts = split_chips(chips, SplitSettings(validation=0.25, test=0.25))
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(rows) == list(range(len(chips)))
    scenes = [set(chips.index["scene"].iloc[part]) for part in (parts.train, parts.validation, parts.test)]
    assert not scenes[0] & scenes[1]
    assert not scenes[0] & scenes[2]
    assert not scenes[1] & scenes[2]
    assert len(parts.test) == len(parts.validation) == len(chips) // 4


def test_the_seed_decides(chips: Chips) -> None:
    one, again, other = (split_chips(chips, SplitSettings(seed=seed)).test.tolist() for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_a_shift_split_holds_out_whole_colour_clusters_of_each_class(chips: Chips) -> None:
    settings = SplitSettings(by="shift", clusters=2, test=0.2, validation=0.2)
    parts, labels = split_chips(chips, settings), chip_labels(chips)
    for label in range(3):
        own = [part[labels[part] == label] for part in (parts.test, np.union1d(parts.train, parts.validation))]
        statistics = [colour_statistics(chips, "s1", rows) for rows in own]
        assert len(own[0])
        assert len(own[1])
        # Held-out chips lie closer to each other's centre than to that of the rest.
        centres = [one.mean(0) for one in statistics]
        away = [np.linalg.norm(statistics[0] - centre, axis=1).mean() for centre in centres]
        assert away[0] < away[1]


@pytest.mark.parametrize("by", ["random", "shift"])
@pytest.mark.parametrize("seed", range(3))
def test_no_scene_is_parted(chips: Chips, by: str, seed: int) -> None:
    settings = SplitSettings.model_validate({"by": by, "clusters": 2, "test": 0.2, "validation": 0.2, "seed": seed})
    parts = split_chips(chips, settings)
    scenes = [set(chips.index["scene"].iloc[part]) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, scenes)) == len(set.union(*scenes)) == 12


@pytest.mark.parametrize("seed", range(20))
def test_a_large_scene_leaves_no_part_empty(chips: Chips, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    index = chips.index.copy()
    most = len(index) // 2
    index["scene"] = ["large"] * most + [f"small{number}" for number in range(len(index) - most)]
    monkeypatch.setitem(chips.__dict__, "index", index)
    parts = split_chips(chips, SplitSettings(validation=0.2, test=0.2, seed=seed))
    assert len(parts.validation)
    assert len(parts.test) >= round(0.2 * len(chips))
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(chips)


def test_colour_statistics_are_means_and_deviations(chips: Chips) -> None:
    pixels = chips.read("s2", [3, 5]).astype(float)
    expected = [[*chip.reshape(13, -1).mean(1), *chip.reshape(13, -1).std(1)] for chip in pixels]
    np.testing.assert_allclose(colour_statistics(chips, "s2", np.array([3, 5])), expected, rtol=1e-6)


def test_a_split_the_data_do_not_have_is_refused(chips: Chips) -> None:
    with pytest.raises(InputError, match=r"train part .* split by 'given' is empty"):
        split_chips(chips, SplitSettings(by="given"))
    with pytest.raises(InputError, match="validation part"):
        split_chips(chips, SplitSettings(validation=0.0))
