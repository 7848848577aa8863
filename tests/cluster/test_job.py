"""The same command as a Ray job on a cluster of its own, token authentication on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from geozoo.store import verify
from tests.support import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ray
RAY = str(Path(sys.executable).with_name("ray"))
HEAD_PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port", "ray-client-server-port")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of the job server of a one-machine cluster, and the environment that carries its token."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_") and name != "PYTHONPATH"
    }
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    (tmp_path / "token").write_text("a-token-for-this-test-alone-0123456789")
    ports = dict(zip(HEAD_PORTS, free_ports(len(HEAD_PORTS)), strict=True))
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1"]
    with (tmp_path / "head.log").open("w") as log:
        server = subprocess.Popen(
            [*command, *(f"--{name}={port}" for name, port in ports.items())],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        address = f"http://127.0.0.1:{ports['dashboard-port']}"
        try:
            assert runs.wait_until(lambda: listed(address, environment), seconds=90, every=1)
            yield address, environment
        finally:
            below = list(runs.descendants(server.pid))
            server.terminate()
            server.wait(timeout=60)
            for process in below:
                if process.is_running():
                    process.kill()


def listed(address: str, environment: dict[str, str]) -> bool:
    done = subprocess.run(
        [RAY, "job", "list", "--address", address], env=environment, capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0


def test_populate_as_a_job(head: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    address, environment = head
    url = str(tmp_path / "zoo")
    submit = [
        RAY, "job", "submit", "--address", address, "--working-dir", str(runs.REPOSITORY),
        "--runtime-env-json", '{"env_vars": {"PYTHONPATH": "platform"}}', "--",
        "python", "-m", "geozoo", "populate", "zoos/digits_cnn.yaml", "--to", url, "--address", "auto", *runs.TINY,
    ]  # fmt: skip
    done = subprocess.run(submit, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    local = str(tmp_path / "local")
    assert runs.populate(local, "--local", settings=runs.TINY).returncode == 0
    assert runs.digest(url) == runs.digest(local)
    assert verify(url).clean
    refused = subprocess.run(
        [RAY, "job", "list", "--address", address],
        env=environment | {"RAY_AUTH_TOKEN_PATH": "", "RAY_AUTH_TOKEN": "another-token-0123456789-0123456789"},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode != 0
