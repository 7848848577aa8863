"""A real S3 server on this machine for tests: SeaweedFS, one process, free ports, a bucket and its credentials."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_SECONDS = 90
START_ATTEMPTS = 3
BUCKET = "zoos"
KEY, SECRET = "simulated-key", "simulated-secret"


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables that make any S3 client use this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def serve_s3(folder: Path) -> Iterator[S3Server]:
    """Run a server with its data in ``folder``, killed at the end: an orderly stop takes it twenty seconds."""
    ports = _free_ports(4)
    action = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": action}
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    command = [
        *(str(Path(sys.executable).with_name("weed")), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
        *(
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.port={ports[0]}",
            f"-s3.config={config}",
            f"-master.port={ports[1]}",
        ),
        *(f"-volume.port={ports[2]}", f"-filer.port={ports[3]}", "-volume.max=20", "-master.volumeSizeLimitMB=64"),
    ]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    server = S3Server(f"http://127.0.0.1:{ports[0]}", BUCKET)
    try:
        _wait_for_bucket(server, process, folder / "log.txt")
        yield server
    finally:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Free ports whose neighbour ten thousand above, where the server listens too, is free as well."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port + 10_000 > 65_535 or port in found:
                continue
            try:
                second.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found


def _wait_for_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until a bucket can be made and an object be written in it."""
    client = _client(server)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=server.bucket)
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"yes")
            client.delete_object(Bucket=server.bucket, Key="ready")
        except Exception as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.5)
        else:
            return


def _client(server: S3Server) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    config = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    return Session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=config,
    )


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for the whole session, started when first asked for, with the ``AWS_*`` variables set to it."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for attempt in range(START_ATTEMPTS):
            try:
                server = stack.enter_context(serve_s3(tmp_path_factory.mktemp("s3")))
                break
            except RuntimeError:  # a free port was taken by somebody else before the server had it
                if attempt == START_ATTEMPTS - 1:
                    raise
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
