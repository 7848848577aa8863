import json
import sys
from types import SimpleNamespace

import pytest

from tests.support.commands import geozoo
from tests.support.zoos import make_zoo


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=12, cohorts=2)[0].url


def test_a_page_is_written(url, tmp_path):
    done = geozoo("landscape", url, "-o", tmp_path / "page.html")
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_gets_page_and_figures_and_numbers_are_printed(url, tmp_path):
    done = geozoo("landscape", url, "-o", tmp_path / "folder", "--json")
    assert json.loads(done.out)["members"] == 12
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert {"index.html", "maps-trajectories.svg", "maps-coloured-by-lr.svg"} <= names


def test_a_model_embeds_the_members(url, tmp_path, monkeypatch):
    opened = []

    def open_model(name):
        opened.append(name)
        return SimpleNamespace(zoo_of=lambda layout: 3, embed=lambda weights, zoo: weights[:, zoo : zoo + 4])

    monkeypatch.setitem(sys.modules, "geozoo.hyper.trained", SimpleNamespace(open_model=open_model))
    done = geozoo("landscape", url, "-o", tmp_path / "page.html", "--model", "some-model", "--json")
    assert opened == ["some-model"]
    assert {one["space"] for one in json.loads(done.out)["maps"]} == {"weights", "stats", "embedding"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-o", "missing/page.html"], "does not exist; make it first"),
        (["-o", "missing/folder"], "cannot be made"),
        (["-o", "page.html", "--members", "nobody"], "'nobody' is no committed member"),
    ],
)
def test_bad_input_is_refused(url, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    refused = geozoo("landscape", url, *arguments)
    assert refused.code == 2
    assert complaint in refused.complaint
    assert not list(tmp_path.iterdir())
