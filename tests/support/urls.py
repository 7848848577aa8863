"""A URL for a store of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.s3 import S3Server


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place: a folder, this process's memory, an S3 prefix."""
    if request.param == "local":
        return str(tmp_path / "zoo")
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    server: S3Server = request.getfixturevalue("s3_server")
    return f"s3://{server.bucket}/{uuid4().hex}"
