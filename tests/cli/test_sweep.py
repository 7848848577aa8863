"""``geozoo sweep`` on small chips: what it prints and keeps, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
import torch

from tests.support import runs
from tests.support.chips import make_chips
from tests.support.commands import Outcome, geozoo
from tests.support.labels import write_labels

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn


class _Opened(Exception):  # noqa: N818
    """Says on which device."""


@pytest.fixture(autouse=True)
def _runs_in_a_scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOZOO_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_chips(tmp_path_factory.mktemp("little")).url


def rows_at(url: Path) -> dict[str, bytes]:
    """What is kept of every row."""
    return {path.stem: path.read_bytes() for path in (url / "rows").glob("*.json")}


def refusal(outcome: Outcome) -> str:
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    return outcome.err.splitlines()[-1]


def never(*arguments: object) -> NoReturn:
    pytest.fail("a row was computed again")


def test_a_table_is_made_once_and_grows(chips: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, figure = tmp_path / "rows", tmp_path / "labels.svg"
    command = ("sweep", write_labels(tmp_path, chips), "--to", rows, "--local", "--json")
    first = geozoo(*command, "--figure", figure)
    assert first.code == 0, first.err
    found = json.loads(first.out)
    assert {(cell["method"], cell["seeds"]) for cell in found["cells"]} == {("statistics", 2), ("scratch", 2)}
    assert (found["experiment"], found["data"], found["classes"]) == (
        "tiny-labels",
        "little",
        ["dark", "middle", "bright"],
    )
    assert ElementTree.parse(figure).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    kept = rows_at(rows)
    assert sorted(kept) == ["scratch-1-0", "scratch-1-1", "statistics-1-0", "statistics-1-1"]

    with monkeypatch.context() as patch:
        patch.setattr("geozoo.ssl.downstream.rows.run_row", never)
        assert geozoo(*command).out == first.out
        other = geozoo(*command, "--set", "fit.updates=6")
        assert "holds results of other settings" in refusal(other)
    assert rows_at(rows) == kept

    grown = geozoo(*command, "--set", "seeds=[0, 1, 2]")
    assert {cell["seeds"] for cell in json.loads(grown.out)["cells"]} == {3}
    after = rows_at(rows)
    assert {name: after[name] for name in kept} == kept
    assert sorted(set(after) - set(kept)) == ["scratch-1-2", "statistics-1-2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--local", "--set", "methods=[probe]"], "method 'probe' starts from a trained encoder: add --set model=URL"),
        (["--local", "--set", "model=nowhere"], "there is no trained model at"),
        (["--local", "--address", "auto"], "--local and --address auto exclude each other"),
        (["--local", "--gpus-per-row", "0.5"], "--local and --gpus-per-row 0.5 exclude each other"),
        (["--to", "memory://rows"], "'memory://rows' is visible to one process only"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_swept(chips: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    complaint = refusal(geozoo("sweep", write_labels(tmp_path, chips), "--to", tmp_path / "rows", *arguments))
    assert message in complaint
    assert not (tmp_path / "rows" / "sweep.json").exists()


def test_a_killed_sweep_goes_on(chips: str, tmp_path: Path) -> None:
    rows, seeds = tmp_path / "rows", 12
    file = write_labels(tmp_path, chips, methods=["scratch"], seeds=list(range(seeds)))
    command = ("sweep", str(file), "--to", str(rows), "--local")
    driver = subprocess.Popen(
        runs.geozoo(*command), env=runs.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert runs.wait_until(lambda: len(rows_at(rows)) >= 2 or driver.poll() is not None)
    driver.kill()
    driver.wait()
    kept = rows_at(rows)
    assert 2 <= len(kept) < seeds
    outcome = geozoo(*command, "--json")
    assert outcome.code == 0, outcome.err
    assert f"{len(kept)} of {seeds} rows done" in outcome.err
    after = rows_at(rows)
    assert len(after) == seeds
    assert {name: after[name] for name in kept} == kept


@pytest.mark.parametrize(("has_gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_one_process_uses_the_gpu_it_sees(
    chips: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, device: str
) -> None:
    """Each command opens what it computes with on that device, which is where this test ends it."""

    def opened(url: object, where: str = "nowhere") -> NoReturn:
        raise _Opened(where)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr("geozoo.ssl.downstream.bench.open_bench", opened)
    monkeypatch.setattr("geozoo.ssl.downstream.predictor.open_predictor", opened)
    monkeypatch.setattr("geozoo.ssl.trained.open_views", opened)
    file = write_labels(tmp_path, chips)
    commands = [
        ("sweep", file, "--to", tmp_path / "rows", "--local"),
        ("eo", "embed", "model", chips, "-o", tmp_path / "embeddings.parquet"),
        ("eo", "map", "predictor", "scene", "--to", tmp_path / "map.tif"),
    ]
    for command in commands:
        assert f"_Opened: {device};" in geozoo(*command).complaint
