"""The committed page is what its sources make, and it is all that the page needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from geozoo.report.browser import browser_pages
from geozoo.report.browser.assets import ASSETS, read_asset
from tests.support.zoos import make_zoo

FOLDER = Path(__file__).parents[3] / "platform" / "geozoo" / "report" / "browser"
INPUTS = ("package.json", "package-lock.json", "build.js", "src")


def run(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_the_committed_page_is_built_from_its_sources(tmp_path):
    if not shutil.which("npm"):
        pytest.skip("Node is not installed, so the page cannot be built")
    for name in INPUTS:
        copy = shutil.copytree if (FOLDER / name).is_dir() else shutil.copy
        copy(FOLDER / name, tmp_path / name)
    installed = run(tmp_path, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if installed.returncode:
        pytest.skip("the packages of the page cannot be installed: no registry answers")
    built = run(tmp_path, "node", "build.js")
    assert built.returncode == 0, built.stderr
    for name in ASSETS:
        assert (tmp_path / "static" / name).read_bytes() == read_asset(name), f"{name} is old: run make browser"


def test_nothing_but_the_assets_is_kept():
    files = [str(path.relative_to(FOLDER / "static")) for path in (FOLDER / "static").rglob("*") if path.is_file()]
    assert sorted(files) == sorted(ASSETS)


def test_the_page_loads_its_own_files_only():
    page = read_asset("index.html").decode()
    assert set(re.findall(r'(?:src|href)="([^"#]*)"', page)) == {"data:,", "browser/app.css", "browser/app.js"}
    assert "url(" not in read_asset("browser/app.css").decode()


def test_every_package_in_the_script_has_its_licence():
    texts = read_asset("browser/licences.txt").decode().split("-" * 72)
    heads = [text.strip().splitlines()[0] for text in texts]
    names = {head.split(" ")[0] for head in heads}
    assert {"@observablehq/plot", "hyparquet", "zarrita", "fzstd", "d3-array"} <= names
    assert {re.search(r"\((.*)\)$", head)[1] for head in heads} <= {"ISC", "MIT", "BSD-3-Clause"}
    assert all(len(text.strip().splitlines()) > 3 for text in texts)


def test_a_published_zoo_gets_all_files_of_the_page(tmp_path):
    zoo, _ = make_zoo(tmp_path, members=4, cohorts=1)
    files = browser_pages(zoo)
    assert {*ASSETS, "zoos.json", "browser/members.parquet"} == set(files)
