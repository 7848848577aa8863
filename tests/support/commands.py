"""Running geozoo commands inside the test's own process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from geozoo.cli.main import main

REPOSITORY = Path(__file__).parents[2]
DIGITS = str(REPOSITORY / "zoos" / "digits_cnn.yaml")
TINY = (
    *("--local", "--epochs", "1", "--set", "dataset.limits={train: 50, validation: 20, test: 20}"),
    *("--set", "evaluation={train: 20, validation: 20, test: 20}", "--set", "population.grid.init=uniform"),
)
"""Options with which the digits recipe trains in a second."""


@dataclass(frozen=True)
class Outcome:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on standard error of a command that was refused or failed."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("geozoo: ")
        assert lines[0].endswith(".")
        return lines[0]


def geozoo(*arguments: object) -> Outcome:
    """Run one command to its exit."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    code = end.value.code
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


def populate_digits(url: object, members: int, *more: object) -> Outcome:
    """Populate a tiny zoo of digits in this process."""
    return geozoo("populate", DIGITS, "--to", url, *TINY, "--members", members, *more)
