import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from geozoo.cli.card import card
from geozoo.cli.probe import probe
from geozoo.cli.show import show
from geozoo.errors import InputError
from geozoo.store import create_zoo
from tests.support.zoos import make_header, make_plan, make_zoo


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2)[0].url


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return create_zoo(tmp_path_factory.mktemp("empty"), make_header(), make_plan()).url


def run(command, *arguments):
    """Run one command; return its standard output."""
    app = Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "140"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_prints_what_is_there(url):
    printed = run(show, url)
    assert "40 of 40 committed" in printed
    assert "not committed" not in printed


def test_show_of_an_empty_zoo(empty):
    assert "3 of 3 cohorts (0-000, 0-001, 0-002)" in run(show, empty)
    assert json.loads(run(show, empty, "--json"))["final_accuracy"] is None


def test_probe_prints_a_table(url):
    printed = run(probe, url, "--target", "test_accuracy", "--features", "stats")
    assert "test accuracy, R²" in printed
    assert "layer statistics" in printed
    assert "flat weights" not in printed
    assert "Split by member:" in printed


def test_probe_as_json(url):
    table = json.loads(run(probe, url, "--json", "--split", "seed", "--target", "init", "--target", "lr"))
    assert table["split"] == "seed"
    assert {row["target"] for row in table["rows"]} == {"init", "lr"}
    assert {row["features"] for row in table["rows"]} == {"weights", "stats"}


def test_card_writes_a_page(url, tmp_path):
    path = tmp_path / "card.html"
    assert run(card, url, "-o", path, "--no-probe").strip() == str(path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_card_into_a_missing_folder_is_refused(url, tmp_path):
    with pytest.raises(InputError, match=r"cannot be written: folder .* does not exist; make it first"):
        run(card, url, "-o", tmp_path / "missing" / "card.html")
