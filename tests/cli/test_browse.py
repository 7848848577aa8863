import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from geozoo.store import create_zoo
from tests.support.commands import REPOSITORY, geozoo
from tests.support.zoos import make_header, make_plan, make_zoo


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=6, cohorts=2)[0].url


def test_it_serves_until_it_is_interrupted(url, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "platform"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "geozoo", "browse", url, url, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        address = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(f"{address}zoos.json", timeout=20) as answer:
            listed = json.load(answer)["zoos"]
        assert [zoo["path"] for zoo in listed] == ["zoos/0/", "zoos/1/"]
        with urllib.request.urlopen(f"{address}zoos/1/zoo.json", timeout=20) as answer:
            assert answer.read() == (Path(url) / "zoo.json").read_bytes()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert list(tmp_path.glob("*")) == []


def test_a_zoo_that_is_not_there_is_refused(tmp_path):
    outcome = geozoo("browse", tmp_path / "nowhere")
    assert outcome.code == 2
    assert "there is no zoo at" in outcome.complaint


def test_a_zoo_without_members_is_refused(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan())
    outcome = geozoo("browse", zoo.url)
    assert outcome.code == 2
    assert "nothing to browse" in outcome.complaint


def test_a_model_that_is_not_there_is_refused(url, tmp_path):
    outcome = geozoo("browse", url, "--model", tmp_path / "nowhere")
    assert outcome.code == 2
    assert "no trained model" in outcome.complaint


def test_help_shows_examples():
    assert "geozoo browse digits-zoo --model digits-hyper" in geozoo("browse", "--help").out
