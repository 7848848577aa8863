"""Fixtures for the tests of the zoo browser."""

from tests.support.chromium import chromium

__all__ = ["chromium"]
