"""Fixtures for stores."""

from tests.support.urls import url

__all__ = ["url"]
