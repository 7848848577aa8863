import json
import re
import sys
from types import SimpleNamespace

import pytest
from typer import Typer
from typer.testing import CliRunner

from geozoo.cli.card import card
from geozoo.cli.probe import FeatureName, probe
from geozoo.cli.show import show
from geozoo.errors import InputError
from geozoo.hyper.probing.features import FEATURE_NAMES
from geozoo.store import create_zoo, open_zoo
from tests.support.encoders import FakeEncoder
from tests.support.zoos import make_header, make_plan, make_zoo


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2)[0].url


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return create_zoo(tmp_path_factory.mktemp("empty"), make_header(), make_plan()).url


def run(command, *arguments, width=140):
    """Run one command on a terminal of this width; return its standard output."""
    app = Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(width)})
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
    assert "test accuracy" in printed
    assert "layer statistics" in printed
    assert "flat weights" not in printed
    assert "Split by member:" in printed
    assert "final epoch" in printed
    assert "above chance" not in printed.partition("Scores on held-out members")[0]


def test_probe_prints_every_readout(url):
    printed = run(
        probe, url, "--target", "test_accuracy", "--features", "stats", "--features", "pca", "--full", width=200
    )
    assert "chosen" in printed
    for readout in ("ridge", "scaled ridge", "trees", "MLP"):
        for features in ("layer statistics", "principal components"):
            assert len(re.findall(rf"{features} +{readout} +[-<\d]", printed)) == 2


def test_probe_prints_curves(url):
    printed = run(probe, url, "--target", "lr", "--features", "stats", "--labels", "5,10")
    assert "5 labels" in printed
    assert "10 labels" in printed
    assert " ± " in printed
    table = json.loads(run(probe, url, "--target", "lr", "--features", "stats", "--labels", "10,5", "--json"))
    assert [(row["labels"], len(row["scores"])) for row in table["rows"]] == [(5, 5), (10, 5)]


def test_probe_on_another_zoo(url, tmp_path):
    other = make_zoo(tmp_path / "zoo", members=20, cohorts=1, seed=1)[0].url
    table = json.loads(
        run(probe, url, "--test-zoo", other, "--target", "test_accuracy", "--features", "stats", "--json")
    )
    assert table["test_zoo"] == "simulated"


def test_probe_with_a_model_adds_its_embedding(url, monkeypatch):
    layout = open_zoo(url).layout
    encoder = FakeEncoder(layout, lambda weights: weights[:, :4])
    opened = SimpleNamespace(open_model={"model-url": encoder}.get)
    monkeypatch.setitem(sys.modules, "geozoo.hyper.trained", opened)
    printed = run(probe, url, "--features", "stats", "--model", "model-url", "--target", "test_accuracy", "--json")
    assert {row["features"] for row in json.loads(printed)["rows"]} == {"stats", "embedding"}


def test_every_feature_set_can_be_named():
    assert tuple(FeatureName) == FEATURE_NAMES


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--labels", "few"], "--labels 'few' is no list of numbers: write it like 10,50,200"),
        (["--labels", "5,1000"], "5, 1000 labels cannot be drawn from"),
        (["--labels", "5", "--full"], "--full and --labels print different tables"),
        (["--features", "embedding"], "'embedding' needs a trained model: name one with --model"),
    ],
)
def test_probe_refuses(url, options, complaint):
    with pytest.raises(InputError, match=complaint):
        run(probe, url, *options)


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
