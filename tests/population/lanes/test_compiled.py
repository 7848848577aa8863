"""The cache of compiled code: where it lies, when it is used, when it is not."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from geozoo.errors import InputError
from geozoo.population.lanes import compiled as module
from geozoo.population.lanes.compiled import cache_directory, compiled, source_hash
from tests.support.lanes import Batch, pass_in_lanes, random_stack

PACKAGE = Path(module.__file__).parent
OUTSIDE = ("streams.py", "optimizers.py")
SOURCES = sorted(path.name for path in PACKAGE.glob("*.py"))

SECOND_PROCESS = """
from geozoo.population.lanes.compiled import compiled
for entry in compiled("float32"):
    assert entry.stats.cache_hits.total() == 1, entry.stats
    assert entry.stats.cache_misses.total() == 0, entry.stats
"""


def test_a_cache_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled("float32")
    full = cache_directory()
    monkeypatch.setenv("GEOZOO_CACHE", str(tmp_path))
    shutil.copytree(full, cache_directory())
    for entry in cache_directory().iterdir():
        entry.write_bytes(b"garbage")
    sentence = "the compile cache .* cannot be used .*: remove it, or set GEOZOO_CACHE to a folder"
    with pytest.raises(InputError, match=sentence):
        compiled("float32")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GEOZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=sentence):
        compiled("float32")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kernel sources, whose hash is then taken."""
    shutil.copytree(PACKAGE, tmp_path / "lanes", ignore=shutil.ignore_patterns("__pycache__"))
    for name in OUTSIDE:
        shutil.copy(PACKAGE.parent / name, tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "lanes" / "compiled.py"))
    return tmp_path


def test_the_cache_lies_where_the_variables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("lanes") / source_hash()
    monkeypatch.setenv("GEOZOO_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "chosen" / folder
    monkeypatch.delenv("GEOZOO_CACHE")
    assert cache_directory() == tmp_path / "xdg" / "geozoo" / folder
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == tmp_path / "home" / ".cache" / "geozoo" / folder


def test_the_hash_does_not_depend_on_where_the_sources_lie(copied: Path) -> None:
    assert source_hash.__wrapped__() == source_hash()


@pytest.mark.parametrize("name", [*(f"lanes/{name}" for name in SOURCES), *OUTSIDE])
def test_a_byte_in_any_kernel_source_makes_another_folder(name: str, copied: Path) -> None:
    before = source_hash.__wrapped__()
    (copied / name).write_bytes((copied / name).read_bytes() + b"\n")
    assert source_hash.__wrapped__() != before


def test_a_new_kernel_source_makes_another_folder(copied: Path) -> None:
    before = source_hash.__wrapped__()
    (copied / "lanes" / "more.py").touch()
    assert source_hash.__wrapped__() != before


def test_kernels_take_constants_from_no_source_outside_the_hash() -> None:
    """What the package imports from elsewhere in geozoo, where it is compiled: all modules but the engine itself."""
    outside = set()
    for name in set(SOURCES) - {"engine.py"}:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("geozoo."):
                outside.add(str(node.module))
    outside = {name for name in outside if not name.startswith("geozoo.population.lanes")}
    assert outside - {"geozoo.errors"} == {f"geozoo.population.{name.removesuffix('.py')}" for name in OUTSIDE}


def test_a_second_process_compiles_nothing() -> None:
    compiled("float32")
    before = {path: path.stat().st_mtime_ns for path in cache_directory().iterdir()}
    assert len(before) >= 4
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS], env=environment, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    assert {path: path.stat().st_mtime_ns for path in cache_directory().iterdir()} == before


def test_entries_are_compiled_once_a_process_for_one_signature() -> None:
    for number in ("float32", "float64"):
        assert compiled(number) is compiled(number)
        assert [len(entry.signatures) for entry in compiled(number)] == [1, 1]


def test_read_only_images_need_no_other_specialisation() -> None:
    stack, batch = random_stack(nn.Flatten(), nn.Linear(16, 3)), Batch.random(10)
    writable = pass_in_lanes(stack, batch, "float32")
    batch.images.flags.writeable = batch.labels.flags.writeable = False
    read_only = pass_in_lanes(stack, batch, "float32")
    np.testing.assert_array_equal(writable.gradient, read_only.gradient)
    assert len(compiled("float32")[0].signatures) == 1


def test_arguments_of_another_type_are_refused_instead_of_compiled() -> None:
    train_members, _ = compiled("float32")
    with pytest.raises(TypeError, match="No matching definition"):
        train_members(1, 2, 3, 4, 5, 6, 7, (0, 1), (0, 1))
