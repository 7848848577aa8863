"""Chips cut through Ray Data, inside one shared Ray cluster in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geozoo.cluster.ingest import cut_with_ray
from geozoo.cluster.session import ray_session
from geozoo.eo.chips import open_chips, plan
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.errors import DataCorruptError, StoreUnusableError
from tests.support.chip_stores import make_collection, windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    with ray_session(None):
        yield


def test_parts_are_cut_once_and_errors_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged tile stops the first run with its own error; restored, the next one cuts only what is missing."""
    monkeypatch.setattr(plan, "MAX_PART", 4)
    collection, url = make_collection(tmp_path / "data", ("s1", "s2")), str(tmp_path / "chips")
    damaged = tmp_path / "data/s1/t2.tif"
    parts, content = begin_ingest(collection, url, 8), damaged.read_bytes()
    assert len(parts) == 5
    damaged.write_bytes(b"II*")
    with pytest.raises(DataCorruptError, match=r"s1/t2\.tif cannot be read") as raised:
        list(cut_with_ray(parts))
    assert "\n" not in str(raised.value)
    damaged.write_bytes(content)
    left = begin_ingest(collection, url, 8)
    assert {3, 4} <= {part.number for part in left}
    assert sorted(cut_with_ray(left)) == sorted(len(part.rows) for part in left)
    assert begin_ingest(collection, url, 8) == []
    assert list(cut_with_ray([])) == []
    finish_ingest(url)
    chips = open_chips(url)
    for modality in ("s1", "s2"):
        expected = np.stack([pixels for *_, pixels in windows(collection, modality)])
        np.testing.assert_array_equal(chips.read(modality, range(18)), expected)


def test_workers_must_see_the_store(tmp_path: Path) -> None:
    parts = begin_ingest(make_collection(tmp_path), "memory://of-the-driver", 8)
    with pytest.raises(StoreUnusableError, match="does not see what this driver writes"):
        list(cut_with_ray(parts))
