"""Seeds from a seed and a place in a run."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """A seed below 2^63 that depends on all parts and nothing else."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 1
