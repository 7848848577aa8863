"""Faults put into copies of real tiles, one at a time; experiments/eo/check_table.py does the same with more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geozoo.eo.check import Finding, check_collection
from tests.support.eo_faults import FAULTS, inject
from tests.support.eo_real import NAMES, copy_collection, needs_tiles

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_tiles


@pytest.mark.parametrize("name", NAMES)
def test_clean_tiles_have_no_certain_finding(name: str, tmp_path: Path) -> None:
    said = check_collection(copy_collection(name, tmp_path), statistical=False)
    assert [word.sentence for word in said if isinstance(word, Finding)] == []


@pytest.mark.parametrize("seed", range(40))
def test_a_fault_is_found(seed: int, tmp_path: Path) -> None:
    fault = list(FAULTS)[seed % len(FAULTS)]
    injected = inject(fault, seed, tmp_path)
    assert injected.missed() == [], injected
