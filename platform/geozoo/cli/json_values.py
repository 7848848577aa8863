"""Results as JSON, which has no infinity and no NaN."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(tree: dict[str, Any]) -> str:
    """Indented JSON in which a number that is not finite is null."""
    return json.dumps(_finite(tree), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
