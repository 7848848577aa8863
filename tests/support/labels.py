"""A small experiment of kind labels as a file, for tests of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

VIEWS = {"optical": {"bands": {"s2": ["B08"]}, "encoder": {"options": {"channels": [4, 4, 8, 8]}}}}


def write_labels(folder: Path, chips: str, **changes: Any) -> Path:
    """The path of a table of two methods and two seeds on chips of `tests.support.chips`."""
    tree = {
        "name": "tiny-labels",
        "kind": "labels",
        "chips": chips,
        "split": {"validation": 0.2, "test": 0.2},
        "views": VIEWS,
        "methods": ["statistics", "scratch"],
        "seeds": [0, 1],
        "fit": {"updates": 5, "batch_size": 8, "learning_rates": [1e-3, 1e-2]},
    }
    path = folder / "labels.yaml"
    path.write_text(yaml.safe_dump({**tree, **changes}))
    return path
