"""What runs inside one shared Ray cluster in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geozoo.cluster.preflight import refuse_unreachable_nodes
from geozoo.cluster.session import ray_session
from geozoo.errors import InputError, StoreUnusableError
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with ray_session(None):
        yield


@pytest.mark.usefixtures("cluster")
def test_nodes_that_see_the_store_pass_and_nothing_is_left_behind(tmp_path: Path) -> None:
    url = str(tmp_path / "zoo")
    refuse_unreachable_nodes(url)
    assert open_location(url).list() == {}


@pytest.mark.usefixtures("cluster")
def test_a_node_that_does_not_see_the_store_is_named() -> None:
    """The memory of this process is out of reach for a worker, as a folder of this machine is for another."""
    with pytest.raises(StoreUnusableError, match=r"node \S+ does not see what this driver writes to memory://"):
        refuse_unreachable_nodes("memory://unreachable")


def test_an_open_session_is_joined_and_left_open(cluster: None) -> None:
    import ray

    with ray_session(None):
        assert ray.is_initialized()
    assert ray.is_initialized()


def test_an_address_without_a_cluster_is_refused() -> None:
    import subprocess
    import sys

    code = (
        "from geozoo.cluster.session import ray_session\n"
        "from geozoo.errors import InputError\n"
        "try:\n    ray_session('127.0.0.1:1').__enter__()\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "no Ray cluster can be used at '127.0.0.1:1'" in done.stdout
    assert issubclass(StoreUnusableError, InputError)
