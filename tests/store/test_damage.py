"""Every single fault of a finished zoo is found, and nothing is found in a whole one."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from geozoo.cli.gc import gc
from geozoo.cli.verify import verify as verify_command
from geozoo.errors import DamagedZooError, ZooNotFoundError
from geozoo.store import collect_garbage, create_zoo, extend_zoo, open_zoo, run_lease, verify
from geozoo.store import lease as lease_module
from geozoo.store.commit import Commit
from geozoo.store.location import open_location
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished zoo of two plans with several shards a cohort."""
    folder = tmp_path_factory.mktemp("whole") / "zoo"
    zoo = create_zoo(folder, make_header(), make_plan(members=6, cohorts=2))
    zoo = extend_zoo(folder, make_plan(members=2, cohorts=1, number=1))
    for cohort in zoo.members["cohort"].unique():
        write_cohort(zoo, cohort, max_shard_bytes=40_000)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_whole_zoo_is_clean(whole: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(whole, recompute_digest=True, progress=lambda done, total: seen.append((done, total)))
    assert report.clean
    assert report.objects == len(objects(whole))
    assert report.size == sum(path.stat().st_size for path in objects(whole))
    assert max(done for done, _ in seen) == seen[-1][1] > 0


@pytest.mark.parametrize("seed", range(60))
def test_every_single_fault_is_found(folder: Path, seed: int) -> None:
    """A flipped bit, a truncation, a deletion or a surplus object, anywhere; every object gets its turn."""
    draw = np.random.default_rng(seed)
    paths = objects(folder)
    path = paths[seed % len(paths)]
    name, data = path.relative_to(folder).as_posix(), bytearray(path.read_bytes())
    fault = ["flip", "flip", "cut", "delete", "surplus"][int(draw.integers(5))]
    if fault == "flip":
        data[draw.integers(len(data))] ^= 1 << int(draw.integers(8))
        path.write_bytes(data)
    elif fault == "cut":
        path.write_bytes(data[: draw.integers(len(data))])
    elif fault == "delete":
        path.unlink()
    else:
        path = path.parent / f"surplus{draw.integers(100)}"
        path.write_bytes(b"surplus")
    report = verify(folder)
    assert not report.clean
    if fault == "surplus":
        assert [(finding.kind, finding.name) for finding in report.findings] == [
            ("surplus", path.relative_to(folder).as_posix())
        ]
    elif fault == "delete" and name.startswith("commits/"):
        assert {finding.kind for finding in report.findings} == {"planned but uncommitted", "uncommitted attempt"}
    else:
        assert {finding.kind for finding in report.findings} == {"damage"}
    for finding in report.findings:
        assert "\n" not in finding.sentence
        assert finding.name in finding.sentence or finding.kind != "damage"


@pytest.mark.parametrize("name", ["plans/7.parquet", "plans/1.parquet.bak", "commits/0-007.json", "commits/notes.txt"])
def test_objects_beside_plans_and_commits_are_reported(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"surplus")
    assert not verify(folder).clean


def test_damaged_metrics_are_never_read(folder: Path) -> None:
    path = next(folder.glob("cohorts/0-000-*/metrics.parquet"))
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), 97):
        path.write_bytes(data[:position] + bytes([data[position] ^ 16]) + data[position + 1 :])
        with pytest.raises(DamagedZooError, match="does not fit the SHA-256"):
            open_zoo(folder).read_metrics()


def test_a_plan_under_another_number_is_damage(folder: Path) -> None:
    shutil.copy(folder / "plans" / "1.parquet", folder / "plans" / "2.parquet")
    with pytest.raises(DamagedZooError, match="its cohorts belong to another plan"):
        open_zoo(folder)
    assert [finding.name for finding in verify(folder).findings] == ["plans/2.parquet"]


def test_a_moved_commit_is_damage(folder: Path) -> None:
    (folder / "commits" / "0-001.json").write_bytes((folder / "commits" / "0-000.json").read_bytes())
    with pytest.raises(DamagedZooError, match="holds the commit of cohort 0-000"):
        open_zoo(folder).digest()
    assert "damage" in {finding.kind for finding in verify(folder).findings}


def test_a_commit_of_another_zoo_is_damage(folder: Path, tmp_path: Path) -> None:
    make_zoo(tmp_path / "other", members=6, cohorts=2, seed=1)
    shutil.copy(tmp_path / "other" / "commits" / "0-000.json", folder / "commits" / "0-000.json")
    with pytest.raises(DamagedZooError, match="belongs to another"):
        open_zoo(folder).digest()
    assert "damage" in {finding.kind for finding in verify(folder).findings}


def test_a_forged_digest_is_found_by_recomputing(folder: Path) -> None:
    """Sizes, seals and checksums all fit here; only the data tell."""
    path = folder / "commits" / "0-000.json"
    commit = Commit.loads(path.read_bytes(), "commits/0-000.json")
    member = next(iter(commit.digests))
    path.write_bytes(commit.model_copy(update={"digests": {**commit.digests, member: "0" * 64}}).dumps())
    assert verify(folder).clean
    (finding,) = verify(folder, recompute_digest=True).findings
    assert finding.sentence == f"member {member} does not have the digest in commits/0-000.json."


def test_a_zoo_without_its_header_is_reported_not_a_crash(folder: Path) -> None:
    (folder / "zoo.json").unlink()
    assert [finding.name for finding in verify(folder, recompute_digest=True).findings] == ["zoo.json"]
    with pytest.raises(DamagedZooError, match=r"zoo\.json is missing"):
        open_zoo(folder)


def test_a_folder_that_was_never_a_zoo(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    for look in (verify, open_zoo, collect_garbage):
        with pytest.raises(ZooNotFoundError):
            look(tmp_path)


def test_the_collector_keeps_everything_a_commit_names(folder: Path) -> None:
    before = objects(folder)
    for name in (
        "notes.txt",
        "cohorts/0-000-00000000/c/0",
        "runs/probe",
        "cohorts/.x.tmp",
        "commits/.0-000.json.1.tmp",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"garbage")
    garbage = collect_garbage(folder, dry_run=True)
    assert (garbage.objects, garbage.size, garbage.attempts) == (5, 35, ("cohorts/0-000-00000000",))
    assert collect_garbage(folder) == garbage
    assert objects(folder) == before
    assert not (folder / "cohorts" / "0-000-00000000").exists()
    assert verify(folder, recompute_digest=True).clean


@pytest.mark.parametrize("name", ["commits/0-000.json", "plans/1.parquet", "zoo.json"])
def test_the_collector_stops_at_damage(folder: Path, name: str) -> None:
    """Were it to go on, it would take the objects that a damaged commit names for garbage."""
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    before = objects(folder)
    with pytest.raises(DamagedZooError):
        collect_garbage(folder)
    assert objects(folder) == before


def test_the_collector_keeps_cohorts_whose_plan_is_lost(folder: Path) -> None:
    (folder / "plans" / "1.parquet").unlink()
    before = objects(folder)
    collect_garbage(folder)
    assert objects(folder) == before


def test_leases_grow_stale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = open_location(folder)
    monkeypatch.setattr(lease_module, "BEAT_SECONDS", 0.05)
    with run_lease(location) as name:
        first = location.read(name)
        for _ in range(100):
            if location.read(name) != first:
                break
            time.sleep(0.05)
        assert location.read(name) != first
        assert verify(folder).clean
    assert not location.exists(name)
    location.write(name, first)
    beat = json.loads(first)["beat"]
    monkeypatch.setattr(time, "time", lambda: beat + lease_module.STALE_SECONDS + 1)
    assert [(finding.kind, finding.name) for finding in verify(folder).findings] == [("stale run", name)]
    assert verify(folder).findings[0].sentence.endswith(": geozoo gc removes it.")
    assert collect_garbage(folder).leases == (name,)


def run_command(command: Any, *arguments: str) -> Any:
    import typer

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_verify_on_the_command_line(folder: Path) -> None:
    result = run_command(verify_command, str(folder), "--digest")
    assert (result.exit_code, result.stdout.split(";")[0]) == (0, f"{folder}: clean")
    (folder / "notes.txt").write_text("text")
    result = run_command(verify_command, str(folder))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith("surplus: notes.txt")
    result = run_command(verify_command, str(folder), "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["clean"], report["findings"][0]["name"]) == (1, False, "notes.txt")


def test_gc_on_the_command_line(folder: Path) -> None:
    (folder / "notes.txt").write_text("text")
    result = run_command(gc, str(folder), "--dry-run")
    assert result.stdout == "surplus: notes.txt\n1 objects of 0.0 MB would be removed\n"
    assert json.loads(run_command(gc, str(folder), "--json").stdout)["surplus"] == ["notes.txt"]
    assert run_command(gc, str(folder)).stdout == "0 objects of 0.0 MB removed\n"


@pytest.mark.parametrize("command", [verify_command, gc])
def test_help_has_examples(command: Any) -> None:
    result = run_command(command, "--help")
    assert result.exit_code == 0
    assert f"geozoo {command.__name__} digits-zoo" in result.stdout
