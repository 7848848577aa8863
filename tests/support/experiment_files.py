"""What holds of every experiment file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def check_file(experiment: Any, path: Path) -> None:
    """It is named after its file, has a title, and its provenance names fields that it has."""
    assert experiment.name == path.stem
    assert experiment.title
    fields = experiment.model_dump()
    for name in experiment.provenance.fields:
        part: Any = fields
        for key in name.split("."):
            assert key in part, f"provenance names {name!r}, which is no field"
            part = part[key]
