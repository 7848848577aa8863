"""Measure the validators on real tiles: ``python -m experiments.eo.check_table`` (with GEOZOO_DATA, ten minutes).

Writes results/check.json, and CHECK.md and check_shift.svg from it; ``--tables`` only the latter two.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.eo import check_faults, check_pages, check_shift
from geozoo.eo.check import Finding, check_collection
from tests.support.eo_faults import FAULTS, inject
from tests.support.eo_real import NAMES, copy_collection

RESULTS = Path(__file__).parent / "results" / "check.json"
CERTAIN = 200


def certain() -> list[dict[str, Any]]:
    """By fault: how often it was put in and how often all of it was found, with kind, file and band."""
    put: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for seed in range(CERTAIN):
        fault = list(FAULTS)[seed % len(FAULTS)]
        with tempfile.TemporaryDirectory() as folder:
            put[fault] += 1
            found[fault] += not inject(fault, seed, Path(folder)).missed()
    return [{"fault": fault, "injected": put[fault], "found": found[fault]} for fault in FAULTS]


def clean() -> list[dict[str, Any]]:
    """What is found in the published tiles as they are."""
    rows = []
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            collection = copy_collection(name, Path(folder))
            found = [word for word in check_collection(collection) if isinstance(word, Finding)]
            rows.append(
                {
                    "collection": name,
                    "tiles": len(collection.tiles),
                    "certain": sum(finding.certainty == "certain" for finding in found),
                    "statistical": [f"{finding.check}, {finding.tile}: {finding.value}" for finding in found],
                }
            )
    return rows


def statistical() -> list[dict[str, Any]]:
    """By fault: counts of injected and clean tiles."""
    rows = [
        *check_faults.offset_rows(),
        check_faults.level_row(),
        check_faults.decibel_row(),
        *check_faults.order_rows(),
        check_faults.border_row(),
        *check_faults.near_rows(),
        check_faults.eurosat_near(),
    ]
    return [asdict(row) for row in rows]


def shift() -> dict[str, Any]:
    """The shift between sensors."""
    as_published, null, parts = check_shift.published(), check_shift.unrelated(), check_shift.agreement()
    return {
        "published": [asdict(scene) for scene in as_published],
        "agreement": [asdict(pair) for pair in parts],
        "unrelated_clarity": [clarity for _, _, clarity in null],
        "curve": [asdict(judged) for judged in check_shift.curve(null, parts, as_published)],
    }


def main() -> None:
    """Measure, unless asked for the tables alone, and write the pages."""
    if "--tables" not in sys.argv[1:]:
        measured = {"certain": certain(), "clean": clean(), "statistical": statistical(), "shift": shift()}
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    check_pages.write_pages(json.loads(RESULTS.read_text(encoding="utf-8")), Path(__file__).parent)


if __name__ == "__main__":
    main()
