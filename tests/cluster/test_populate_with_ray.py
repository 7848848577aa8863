"""The main job through Ray Tune, disturbed in the ways it promises to stand: one digest whatever happens."""

from __future__ import annotations

import os
import random
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from geozoo.store import open_zoo, verify
from tests.support import runs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def _curves_in_a_scratch_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOZOO_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the small zoo trained in one process, without Ray."""
    url = str(tmp_path_factory.mktemp("undisturbed") / "zoo")
    done = runs.populate(url, "--local")
    assert done.returncode == 0, done.stderr
    return runs.digest(url)


def test_tune_gives_the_digest_of_one_process_and_survives_a_killed_worker(undisturbed: str, tmp_path: Path) -> None:
    url = str(tmp_path / "zoo")
    driver = runs.start_populate(url)
    killed = runs.kill_a_worker(driver.pid, url, after=random.uniform(0, 1.5))
    _, complaints = driver.communicate(timeout=240)
    assert killed is not None, complaints
    assert driver.returncode == 0, complaints
    assert runs.digest(url) == undisturbed
    assert verify(url).findings == ()


def test_a_killed_driver_is_finished_by_the_same_command(undisturbed: str, tmp_path: Path) -> None:
    url = str(tmp_path / "zoo")
    driver = runs.start_populate(url)
    assert runs.wait_until(lambda: runs.attempts(url))
    runs.kill_driver(driver)
    done = runs.populate(url)
    assert done.returncode == 0, done.stderr
    assert runs.digest(url) == undisturbed


def press_ctrl_c(driver: subprocess.Popen[str]) -> bool:
    """Interrupt a driver that still trains, as a person does who sees it go on; whether it has ended."""
    if runs.training_workers(driver.pid):
        os.killpg(driver.pid, signal.SIGINT)
    return driver.poll() is not None


def test_ctrl_c_leaves_a_clean_store_and_says_how_to_go_on(undisturbed: str, tmp_path: Path) -> None:
    url = str(tmp_path / "zoo")
    driver = runs.start_populate(url)
    assert runs.wait_until(lambda: runs.training_workers(driver.pid))
    assert runs.wait_until(lambda: press_ctrl_c(driver), every=1)
    _, complaints = driver.communicate(timeout=120)
    assert driver.returncode == 130, complaints
    assert "run the same command again" in complaints
    assert {finding.kind for finding in verify(url).findings} <= {"planned but uncommitted"}
    assert runs.populate(url, "--local").returncode == 0
    assert runs.digest(url) == undisturbed


def test_two_drivers_on_one_zoo_end_with_one_digest(undisturbed: str, tmp_path: Path) -> None:
    url = str(tmp_path / "zoo")
    outcomes: list[int] = []
    drivers = [
        threading.Thread(target=lambda: outcomes.append(runs.populate(url, "--local").returncode)) for _ in range(2)
    ]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert outcomes == [0, 0]
    assert runs.digest(url) == undisturbed
    assert open_zoo(url).members["committed"].all()
