"""Bytes that carry their own crc32c in the last four bytes, as Zarr's codec of that name writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geozoo.store.backends import Bytes

CRC_BYTES = 4


def seal(buffer: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Put the crc32c of what precedes them into the last four bytes."""
    import google_crc32c

    buffer[-CRC_BYTES:].view("<u4")[0] = google_crc32c.value(buffer[:-CRC_BYTES])


def sealed_body(data: Bytes, size: int) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """The bytes before the crc32c that ends ``data``; None where it is wrong or there are not ``size`` bytes."""
    import google_crc32c

    buffer = np.frombuffer(data, dtype=np.uint8)
    if len(buffer) != size:
        return None
    body, crc = buffer[:-CRC_BYTES], buffer[-CRC_BYTES:]
    return body if google_crc32c.value(body) == int(crc.view("<u4")[0]) else None
