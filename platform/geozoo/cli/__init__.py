"""The command line: thin modules that parse, call and print."""

from geozoo.cli.main import main

__all__ = ["main"]
