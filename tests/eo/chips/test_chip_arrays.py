"""Stored pixels against zarr, against the files they were cut from, and against damage; in every kind of store."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from geozoo.eo.chips import open_chips, plan
from geozoo.eo.chips.array import ChipArray
from geozoo.eo.chips.header import HEADER_NAME
from geozoo.errors import BandError, DamagedZooError, InputError
from geozoo.store import open_location
from tests.support.chip_stores import ingest, make_collection, windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four chips a shard, so that 18 leave the last one half empty."""
    monkeypatch.setattr(plan, "MAX_PART", 4)


def zarr_group(url: str) -> Any:
    options: dict[str, Any] = {}
    if url.startswith("s3://"):
        options = {"storage_options": {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}}
    return zarr.open_group(f"{url}/chips.zarr", mode="r", **options)


def test_chips_are_the_windows_of_the_files(tmp_path: Path, url: str) -> None:
    collection = make_collection(tmp_path / "data", ("s1", "s2", "rgb", "mask"))
    chips = ingest(collection, url)
    assert len(chips) == 18
    assert chips.header.parts == 5
    group = None if url.startswith("memory://") else zarr_group(url)
    order = np.random.default_rng(0).permutation(18)
    for modality in ("s1", "s2", "rgb", "mask"):
        expected = np.stack([pixels for *_, pixels in windows(collection, modality)])
        read = chips.read(modality, order)
        assert read.dtype == expected.dtype
        np.testing.assert_array_equal(read, expected[order])
        if group is not None:
            np.testing.assert_array_equal(group[modality][:], expected)
    assert chips.index["id"].tolist() == [
        f"{tile.id}@{row},{column}" for tile, row, column, _ in windows(collection, "s1")
    ]
    assert chips.index["scene"].tolist() == [tile.scene for tile, *_ in windows(collection, "s1")]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_zarr_reads_what_is_encoded_and_the_other_way_round(tmp_path: Path, dtype: str) -> None:
    """A shard of our own is zarr's, and one that zarr wrote is ours: byte for byte but for the order of chunks."""
    array = ChipArray(sensor="s1", bands=("VV", "VH"), dtype=dtype, count=7, size=5, part=4)
    values = np.random.default_rng(0).integers(0, 200, (7, *array.chip_shape)).astype(dtype)
    location = open_location(tmp_path)
    location.write("a/zarr.json", array.metadata())
    for part in range(2):
        location.write(f"a/c/{part}/0/0/0", array.encode(values[4 * part : 4 * part + 4]))
    theirs: Any = zarr.open_array(tmp_path / "a", mode="r")
    np.testing.assert_array_equal(theirs[:], values)
    assert dict(theirs.attrs) == {"sensor": "s1", "bands": ["VV", "VH"]}

    location.write("b/zarr.json", array.metadata())
    written: Any = zarr.open_array(tmp_path / "b", mode="r+")
    written[:] = values
    ours, zarrs = ((tmp_path / name / "c/0/0/0/0").read_bytes() for name in "ab")
    assert len(ours) == len(zarrs)
    whole = array.model_copy(update={"part": 4})
    np.testing.assert_array_equal(whole.read(location, "a", [6, 0, 3]), values[[6, 0, 3]])


def test_bands_come_in_the_order_asked_for(tmp_path: Path) -> None:
    chips = ingest(make_collection(tmp_path / "data"), str(tmp_path / "chips"), bands={"s2": ("B08", "B02", "B03")})
    assert chips.header.arrays["s2"].bands == ("B08", "B02", "B03")
    whole = chips.read("s2", [3, 5])
    np.testing.assert_array_equal(chips.read("s2", [3, 5], ("B03", "B08")), whole[:, [2, 0]])
    with pytest.raises(BandError, match="lacks band B04"):
        chips.read("s2", [3], ("B04",))
    with pytest.raises(BandError, match="no modality 'rgb': choose one of s1, s2"):
        chips.read("rgb", [3])
    assert chips.read("s2", []).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("rows", [[-1], [18], [0, 99]])
def test_a_chip_that_is_not_there_is_refused(tmp_path: Path, rows: list[int]) -> None:
    chips = ingest(make_collection(tmp_path / "data"), str(tmp_path / "chips"))
    with pytest.raises(InputError, match="has chips 0 to 17, not"):
        chips.read("s1", rows)


def flip(place: int) -> Callable[[Path], object]:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [flip(0), flip(511), flip(515), lambda file: file.write_bytes(file.read_bytes()[:300]), lambda file: file.unlink()],
    ids=["first byte", "last byte", "checksum", "cut short", "gone"],
)
def test_a_damaged_chip_is_named_and_the_others_are_read(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    collection = make_collection(tmp_path / "data")
    chips = ingest(collection, str(tmp_path / "chips"))
    assert chips.header.arrays["s1"].chunk_bytes == 2 * 64 * 4 + 4  # so that byte 515 is the last of the first chip
    damage(tmp_path / "chips/chips.zarr/s1/c/2/0/0/0")
    with pytest.raises(DamagedZooError, match=r"chip 8 in .*s1/c/2/0/0/0 is missing or fails its checksum"):
        chips.read("s1", [0, 17, 8])
    expected = windows(collection, "s1")
    np.testing.assert_array_equal(chips.read("s1", [0, 17])[1], expected[17][3])


def test_a_store_pickles_as_its_place(tmp_path: Path) -> None:
    chips = ingest(make_collection(tmp_path / "data"), str(tmp_path / "chips"))
    again = pickle.loads(pickle.dumps(chips))
    assert again.header == chips.header
    np.testing.assert_array_equal(again.read("s1", [2]), chips.read("s1", [2]))


def test_what_is_no_finished_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no chip store: make one with geozoo eo ingest"):
        open_chips(tmp_path)
    ingest(make_collection(tmp_path / "data"), str(tmp_path / "chips"))
    (tmp_path / "chips/index.parquet").unlink()
    with pytest.raises(InputError, match="is not finished: run the same command again"):
        open_chips(tmp_path / "chips")
    (tmp_path / "chips" / HEADER_NAME).write_text('{"format": 2}')
    with pytest.raises(InputError, match=r"chips\.json is not the header of a chip store"):
        open_chips(tmp_path / "chips")
