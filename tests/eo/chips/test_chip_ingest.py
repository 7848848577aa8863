"""An ingest that is killed, repeated, doubled, interrupted, or meets an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from geozoo.eo.chips import open_chips, plan
from geozoo.eo.chips.header import Onto
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest, ingest_part
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.readers import find_collection
from geozoo.errors import DataCorruptError, InputError, RunError
from geozoo.store import open_location
from tests.support.chip_stores import draw_modality, ingest, make_collection, make_tile, windows
from tests.support.runs import descendants, environment, geozoo, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.tiles import Collection

PART = 4

KILLED = """
import os, sys
from geozoo.eo.chips import plan
from geozoo.eo.chips.ingest import begin_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.readers import find_collection
from geozoo.store.backends import LocalBackend

plan.MAX_PART = int(sys.argv[4])
whole, left = LocalBackend.write, int(sys.argv[3])

def write(self, name, data):
    global left
    left -= name.startswith(("chips.zarr/s1/c", "chips.zarr/s2/c", "parts"))
    if left < 0:
        os.kill(os.getpid(), 9)
    whole(self, name, data)

LocalBackend.write = write
for _ in cut_parts(begin_ingest(find_collection(sys.argv[1]), sys.argv[2], 8)):
    pass
"""
"""An ingest that is killed before its n-th write of pixels or of a part's index."""

LAYOUT = """
modalities:
  s1: {folder: s1, sensor: s1}
  s2: {folder: s2, sensor: s2l1c, bands: [B02, B03, B04, B08]}
"""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_PART", PART)


def parts_there(url: str) -> list[str]:
    return sorted(name for name in open_location(url).list("parts") if name.endswith(".parquet"))


def assert_complete(url: str, collection: Collection) -> None:
    chips = open_chips(url)
    for modality in chips.header.arrays:
        expected = np.stack([pixels for *_, pixels in windows(collection, modality)])
        np.testing.assert_array_equal(chips.read(modality, range(len(chips))), expected)
    assert chips.index["chip"].tolist() == list(range(len(chips)))
    assert chips.index["id"].is_unique


def test_a_killed_ingest_is_finished_by_the_next(tmp_path: Path) -> None:
    """Killed between the arrays of the third part, then between pixels and index of the fourth."""
    folder, url = tmp_path / "data", str(tmp_path / "chips")
    make_collection(folder)
    (folder / "geozoo.yaml").write_text(LAYOUT)
    collection = find_collection(folder, "folder")
    for writes, done in ((7, 2), (5, 3)):
        command = [sys.executable, "-c", KILLED, str(folder), url, str(writes), str(PART)]
        ended = subprocess.run(command, env=environment(), timeout=120, check=False)
        assert ended.returncode == -signal.SIGKILL
        assert len(parts_there(url)) == done
        with pytest.raises(InputError, match="is not finished"):
            open_chips(url)
        with pytest.raises(InputError, match=rf"lacks {5 - done} of 5 parts: run the same command"):
            finish_ingest(url)
    before = {name: (tmp_path / "chips" / name).stat().st_mtime_ns for name in parts_there(url)}
    parts = begin_ingest(collection, url, 8)
    assert [part.number for part in parts] == [3, 4]
    for part in parts:
        assert ingest_part(part) == len(part.rows)
    finish_ingest(url)
    assert_complete(url, collection)
    assert {name: (tmp_path / "chips" / name).stat().st_mtime_ns for name in before} == before
    assert begin_ingest(collection, url, 8) == []


def test_two_ingests_of_one_plan_at_once_are_harmless(tmp_path: Path, url: str) -> None:
    collection = make_collection(tmp_path / "data")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(ingest, collection, url) for _ in range(2)]:
            done.result()
    assert_complete(url, collection)


def test_another_plan_is_refused(tmp_path: Path) -> None:
    collection, url = make_collection(tmp_path / "data"), str(tmp_path / "chips")
    begin_ingest(collection, url, 8)
    first = collection.tiles[0]
    raster = replace(first.rasters["s2"], offset=-1000)
    others: list[tuple[Collection, dict[str, object]]] = [
        (collection, {"size": 10}),
        (collection, {"stride": 4}),
        (collection, {"bands": {"s2": ("B02",)}}),
        (collection, {"onto": Onto(crs="EPSG:32632", resolution=10)}),
        (replace(collection, tiles=collection.tiles[:2]), {}),
        (replace(collection, classes=("x",)), {}),
        (replace(collection, tiles=(replace(first, labels=(1,)), *collection.tiles[1:])), {}),
        (
            replace(collection, tiles=(replace(first, rasters={**first.rasters, "s2": raster}), *collection.tiles[1:])),
            {},
        ),
    ]
    for other, options in others:
        with pytest.raises(InputError, match=r"holds chips of another plan \(18 of 8 pixels from made; this one has"):
            begin_ingest(other, url, **{"size": 8, **options})  # type: ignore[arg-type]
    assert len(begin_ingest(collection, url, 8)) == 5
    with open(first.rasters["s2"].files[0].path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match="or of files that have changed: choose another --to"):
        begin_ingest(collection, url, 8)


def test_several_workers_cut_what_one_does(tmp_path: Path) -> None:
    collection = make_collection(tmp_path / "data")
    assert_complete(ingest(collection, str(tmp_path / "chips"), workers=2).url, collection)


def test_an_error_of_a_worker_arrives_as_one_sentence(tmp_path: Path) -> None:
    collection, url = make_collection(tmp_path / "data"), str(tmp_path / "chips")
    parts = begin_ingest(collection, url, 8)
    (tmp_path / "data/s1/t2.tif").write_bytes(b"II*")
    with pytest.raises(DataCorruptError) as raised:
        list(cut_parts(parts, workers=2))
    assert str(raised.value).count("\n") == 0
    assert f"{tmp_path}/data/s1/t2.tif cannot be read" in str(raised.value)
    assert wait_until(lambda: not list(descendants_of_kind("spawn_main")), seconds=30)


def descendants_of_kind(word: str) -> list[int]:
    found = []
    for process in descendants(os.getpid()):
        try:
            found += [process.pid] if word in " ".join(process.cmdline()) else []
        except psutil.Error:
            continue
    return found


def test_a_killed_worker_is_told(tmp_path: Path) -> None:
    collection, url = make_collection(tmp_path / "data", tiles=6), str(tmp_path / "chips")
    done = cut_parts(begin_ingest(collection, url, 8), workers=2)
    next(done)
    for pid in descendants_of_kind("spawn_main"):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"one of 2 worker processes was killed, .*fewer --workers"):
        list(done)
    ingest(collection, url)
    assert_complete(url, collection)


def test_workers_need_a_place_that_all_see(tmp_path: Path) -> None:
    parts = begin_ingest(make_collection(tmp_path), "memory://seen-by-one", 8)
    with pytest.raises(InputError, match="is visible to one process only: use one worker"):
        list(cut_parts(parts, workers=2))


@pytest.fixture
def long_ingest(tmp_path: Path) -> list[str]:
    """A command that cuts some forty parts of a thousand chips."""
    for number in range(40):
        make_tile(tmp_path / "data", f"t{number}", {"s2": draw_modality("s2", 256, 256)[:1]})
    (tmp_path / "data/geozoo.yaml").write_text("modalities: {s2: {folder: s2, sensor: s2l1c, bands: [B02]}}")
    return geozoo("eo", "ingest", str(tmp_path / "data"), "--to", str(tmp_path / "chips"), "--size", "8")


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path: Path, long_ingest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL and Ctrl-C leave no process and a store that goes on."""
    url, before = str(tmp_path / "chips"), 0
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [*long_ingest, "--workers", "2"],
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert wait_until(lambda before=before: len(parts_there(url)) > before)  # type: ignore[misc]
        workers = list(descendants(process.pid))
        assert len(workers) >= 2
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # a terminal sends it to all
        else:
            process.kill()
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == code
        assert wait_until(lambda workers=workers: not any(one.is_running() for one in workers), seconds=30)  # type: ignore[misc]
        before = len(parts_there(url))
        assert before < 40
    assert complaint.splitlines()[-1] == "geozoo: interrupted: what is cut stays; run the same command to go on."
    assert "Traceback" not in complaint
    monkeypatch.setattr(plan, "MAX_PART", 1024)
    assert len(begin_ingest(find_collection(tmp_path / "data", "folder"), url, 8)) == 40 - before
