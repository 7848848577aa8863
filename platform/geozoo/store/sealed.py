"""Sealed JSON: small objects that carry their own SHA-256, so that every flipped bit is seen.

The bytes are a canonical serialisation (sorted keys, fixed white space, no NaN) of the payload and a ``seal``, the
SHA-256 of the same serialisation without it. Reading demands exactly these bytes: a change in white space or key order
counts as damage as much as one in a value.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from geozoo.errors import DamagedZooError


def dumps(payload: dict[str, Any]) -> bytes:
    """Serialise and seal a JSON-able dictionary that has no key ``seal``."""
    seal = hashlib.sha256(_canonical(payload)).hexdigest()
    return _canonical({**payload, "seal": seal})


def loads(data: bytes, name: str) -> dict[str, Any]:
    """Read a sealed object; ``name`` is for the message.

    Raises:
        DamagedZooError: the bytes are not exactly what :func:`dumps` wrote.
    """
    try:
        payload = json.loads(data)
        del payload["seal"]
        intact = dumps(payload) == data
    except (ValueError, TypeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise DamagedZooError(
            f"{name} is damaged: its bytes do not fit the SHA-256 it carries; restore it from a copy."
        )
    return dict(payload)


def _canonical(payload: dict[str, Any]) -> bytes:
    return (json.dumps(payload, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
