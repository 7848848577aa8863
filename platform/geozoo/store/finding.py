"""What a verification finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingKind = Literal[
    "damage", "planned but uncommitted", "resume point", "uncommitted attempt", "surplus", "stale run"
]


@dataclass(frozen=True)
class Finding:
    """Something that does not fit: its kind, the object (or folder) it is about, and a sentence."""

    kind: FindingKind
    name: str
    sentence: str
