"""Bad input ends with exit code 2 and one line on standard error: what, the offending value, what to do."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from geozoo.cli import main as main_function
from geozoo.cli.main import app
from geozoo.errors import GeozooError
from tests.support.commands import DIGITS, TINY, geozoo, populate_digits
from tests.support.images import draw_images, draw_mnist, encode_image, write_image_parquet, write_mnist

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = sorted(str(command.callback.__name__) for command in app.registered_commands if command.callback)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "zoo")


def refusal(*arguments: object) -> str:
    """The complaint of a command that is refused."""
    outcome = geozoo(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    return outcome.complaint


def refused_populate(url: str, *settings: str, recipe: str = DIGITS) -> str:
    return refusal("populate", recipe, "--to", url, *TINY, *settings)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nosuch"], ["no such command 'nosuch'", "see geozoo --help"]),
        (["--nosuch"], ["no such option: --nosuch", "see geozoo --help"]),
        (["populate"], ["missing argument 'recipe'", "see geozoo populate --help"]),
        (["populate", DIGITS], ["missing option '--to'", "see geozoo populate --help"]),
        (["populate", DIGITS, "--too", "x"], ["no such option: --too", "--to"]),
        (["populate", DIGITS, "more", "--to", "x"], ["unexpected extra argument", "more"]),
        (["populate", DIGITS, "--to"], ["option '--to' requires an argument"]),
        (["show"], ["missing argument", "see geozoo show --help"]),
    ],
)
def test_misuse(arguments: list[str], parts: list[str]) -> None:
    complaint = refusal(*arguments)
    assert all(part in complaint for part in parts), complaint


def test_no_arguments_print_the_help() -> None:
    outcome = geozoo()
    assert outcome.code == 2
    assert all(command in outcome.out for command in COMMANDS)


def test_version() -> None:
    from geozoo import __version__

    outcome = geozoo("--version")
    assert (outcome.code, outcome.out) == (0, f"geozoo {__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    outcome = geozoo(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: geozoo {command} ")
    assert "\n  Examples" in outcome.out
    assert outcome.out.count(f"geozoo {command} ") >= 3


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["--set", "training.epoch=3"], ["training.epoch is not a known field", "epochs, checkpoints"]),
        (["--set", "evaluation.train=x"], ["evaluation.train", "integer", "'x'"]),
        (["--set", "population.grid.lr=[]"], ["population.grid.lr lists nothing"]),
        (["--set", "network.name=vgg"], ["network.name", "'vgg'", "cnn_s"]),
        (["--set", "training"], ["'training' is not key=value"]),
        (["--members", "x"], ["population.members", "integer", "'x'"]),
        (["--members", "0"], ["population.members", "(got 0)"]),
        (["--epochs", "-1"], ["training.epochs", "(got -1)"]),
        (["--members", "33"], ["33 members", "'digits_cnn' makes 32", "ask for fewer"]),
        (["--engine", "warp"], ["no engine 'warp'", "reference"]),
        (["--address", "auto"], ["--local and --address auto exclude each other"]),
        (["--set", "dataset.size=32"], ["'cnn_s' does not fit image size 32", "28", "dataset.size"]),
        (["--set", "dataset.limits.train=5000"], ["limits.train is 5000", "lower the limit"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_settings_that_do_not_fit(url: str, settings: list[str], parts: list[str]) -> None:
    complaint = refused_populate(url, *settings)
    assert all(part in complaint for part in parts), complaint
    assert geozoo("show", url).code == 2


def test_a_recipe_that_is_not_there(url: str) -> None:
    assert "there is no recipe 'nowhere.yaml'" in refused_populate(url, recipe="nowhere.yaml")


def test_a_url_below_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    complaint = refused_populate(f"{file}/zoo")
    assert f"{file}/zoo" in complaint
    assert "check the URL" in complaint
    assert "is not a folder" in refused_populate(str(file))
    assert file.read_text() == "not a folder"


@pytest.mark.parametrize("url", ["http://host/zoo", "gopher://x", "s3://", "memory://"])
def test_a_scheme_that_is_no_store(url: str) -> None:
    complaint = refused_populate(url)
    assert f"'{url}'" in complaint
    assert "s3://bucket/prefix" in complaint


def test_memory_needs_one_process() -> None:
    complaint = refusal("populate", DIGITS, "--to", "memory://zoo")
    assert "'memory://zoo'" in complaint
    assert "add --local" in complaint


@pytest.mark.parametrize("command", [["show"], ["verify"], ["gc"], ["probe"], ["card", "-o", "x.html"]])
def test_a_zoo_that_is_not_there(url: str, command: list[str]) -> None:
    complaint = refusal(command[0], url, *command[1:])
    assert f"there is no zoo at {url}" in complaint
    assert "geozoo populate" in complaint


class TestImages:
    """Image sets that are missing or damaged."""

    SETTINGS = ("--set", "dataset={name: mnist}", "--members", "1")
    PARQUET = ("--set", "network.name=cnn_l", "--members", "1")

    def test_missing(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GEOZOO_DATA", raising=False)
        complaint = refused_populate(url, *self.SETTINGS)
        assert "train-images-idx3-ubyte" in complaint
        assert "GEOZOO_DATA" in complaint
        assert "https://" in complaint

    def test_missing_where_looked_for(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GEOZOO_DATA", str(tmp_path / "data"))
        assert str(tmp_path / "data" / "mnist") in refused_populate(url, *self.SETTINGS)

    def test_corrupt_idx(self, url: str, tmp_path: Path) -> None:
        write_mnist(tmp_path / "data", draw_mnist(), compress=True)
        file = tmp_path / "data" / "train-images-idx3-ubyte.gz"
        content = gzip.decompress(file.read_bytes())
        file.write_bytes(gzip.compress(content[:-10]))
        settings = ("--set", f"dataset={{name: mnist, path: {tmp_path / 'data'}}}")
        assert f"{file} has {60 * 28 * 28 - 10} bytes" in refused_populate(url, *settings)
        file.write_bytes(file.read_bytes()[:-20])
        assert f"{file} cannot be read" in refused_populate(url, *settings)

    def test_corrupt_parquet(self, url: str, tmp_path: Path) -> None:
        file = tmp_path / "images.parquet"
        encoded = [encode_image(pixels) for pixels in draw_images(40, (32, 32, 3))]
        write_image_parquet(file, [*encoded[:-1], b"no image"], [0] * 40)
        settings = ("--set", f"dataset={{name: image_parquet, path: {file}, size: 32}}", *self.PARQUET)
        complaint = refused_populate(url, *settings)
        assert str(file) in complaint
        assert "39" in complaint
        file.write_bytes(file.read_bytes()[:100])
        assert f"{file} cannot be read as Parquet" in refused_populate(url, *settings)


@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_debug_shows_the_traceback_wherever_it_stands(url: str, place: int) -> None:
    words = ["populate", "nowhere.yaml", "--to", url]
    outcome = geozoo(*words[:place], "--debug", *words[place:])
    assert outcome.code == 2
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("geozoo: there is no recipe 'nowhere.yaml'")


def test_a_defect_is_one_line_and_exit_code_1(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("of a defect,\nin two lines")

    monkeypatch.setattr("geozoo.recipe.load_recipe", fail)
    outcome = populate_digits(url, 1)
    assert outcome.code == 1
    assert "internal error, KeyError" in outcome.complaint
    assert "--debug" in outcome.complaint


def test_an_interrupt_anywhere_exits_130(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geozoo.store.verify", interrupt)
    outcome = geozoo("verify", url)
    assert (outcome.code, outcome.complaint) == (130, "geozoo: interrupted.")


def test_every_error_has_an_exit_code() -> None:
    def below(kind: type[GeozooError]) -> list[type[GeozooError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    assert {kind.exit_code for kind in below(GeozooError)} == {1, 2, 130}


def test_the_console_script_is_the_same_function() -> None:
    from geozoo.cli.main import main

    assert main_function is main
