"""A zoo published on a real S3 server opens with geozoo, and with xarray and DuckDB alone, as the documents show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import fsspec
import mlcroissant
import numpy as np
import pytest

from geozoo.store import open_location, open_zoo, verify
from geozoo.store.published_verify import verify_member
from tests.support.commands import geozoo as run
from tests.support.published import MLCROISSANT, OPTIONS, publish_simulated
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.store import Zoo
    from tests.support.s3 import S3Server

pytestmark = [pytest.mark.s3, *MLCROISSANT]

DOCUMENTED = "s3://bucket/digits/1.0.0"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(s3_server: S3Server) -> Zoo:
    return make_zoo(f"s3://{s3_server.bucket}/source", members=20, cohorts=3, checkpoints=(0, 1, 2, 3))[0]


@pytest.fixture(scope="module")
def published(source: Zoo, s3_server: S3Server) -> str:
    url = f"s3://{s3_server.bucket}/simulated/1.0.0"
    done = run("publish", source.url, "--to", url, *OPTIONS)
    assert done.code == 0, done.err
    return url


@pytest.fixture(autouse=True)
def _leave_duckdb_as_it_was() -> Iterator[None]:
    yield
    if duckdb.filesystem_is_registered("s3"):
        duckdb.unregister_filesystem("s3")


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def run_blocks(blocks: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    return names


def test_it_is_the_same_zoo(source: Zoo, published: str) -> None:
    zoo = open_zoo(published)
    assert zoo.digest() == source.digest()
    np.testing.assert_array_equal(zoo.weights[:], source.weights[:])
    assert verify(published, recompute_digest=True).clean
    member = source.members["member"][9]
    assert verify_member(published, member).digest == source.digests()[member]
    again = run("publish", source.url, "--to", published, *OPTIONS, "--json")
    assert json.loads(again.out)["sent"] == 0
    other = run("publish", source.url, "--to", published, *OPTIONS, "--version", "1.0.1")
    assert (other.code, "which never changes" in other.complaint) == (2, True)


def test_what_the_documentation_shows_runs(source: Zoo, published: str) -> None:
    page = (REPOSITORY / "zoos" / "README.md").read_text()
    section = page[page.index("## Publishing") :]
    blocks = python_blocks(section[: section.index("\n## ")])
    assert len(blocks) == 3
    assert all(DOCUMENTED in block for block in blocks)
    names = run_blocks([block.replace(DOCUMENTED, published) for block in blocks])
    check_shown(names, source)
    means = source.metrics.merge(names["members"].df()[["member", "split"]], on="member")
    expected = means.groupby(["split", "epoch"])["test_accuracy"].mean()
    shown = names["table"].set_index(["split", "epoch"])["accuracy"].sort_index()
    np.testing.assert_allclose(shown, expected.sort_index(), rtol=1e-12)


def test_what_its_own_readme_shows_runs(source: Zoo, published: str) -> None:
    blocks = python_blocks(open_location(published).read("README.md").decode())
    assert len(blocks) == 3
    names = run_blocks(blocks)
    check_shown(names, source)
    assert set(names["table"]["epoch"]) == {3}


def check_shown(names: dict[str, Any], source: Zoo) -> None:
    assert names["zoo"].digest() == source.digest()
    assert list(names["weights"].member.values) == list(source.members["member"])
    assert list(names["weights"].epoch.values) == list(source.checkpoints)
    np.testing.assert_array_equal(np.asarray(names["last"]), source.weights[:, -1])
    assert len(names["metrics"].df()) == len(source.metrics)


def test_its_croissant_file_loads_with_mlcroissant(source: Zoo, published: str, tmp_path: Path) -> None:
    files = fsspec.filesystem("s3")
    for name in ("croissant.json", "members.parquet", "metrics.parquet"):
        files.get_file(f"{published}/{name}", tmp_path / name)
    data = mlcroissant.Dataset(tmp_path / "croissant.json")
    assert not data.metadata.ctx.issues.errors
    members = [row["members/member"].decode() for row in data.records("members")]
    assert members == list(source.members["member"])
    assert len(list(data.records("metrics"))) == len(source.metrics)


def test_a_server_that_ignores_conditions_is_refused(
    source: Zoo, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geozoo.errors import StoreUnusableError
    from geozoo.store.backends import S3Backend

    url = f"s3://{s3_server.bucket}/careless"

    def create(self: S3Backend, name: str, data: bytes) -> bool:
        self.write(name, data)
        return True

    monkeypatch.setattr(S3Backend, "create_once", create)
    with pytest.raises(StoreUnusableError, match="ignores If-None-Match"):
        publish_simulated(source, url)
    assert open_location(url).list() == {}
