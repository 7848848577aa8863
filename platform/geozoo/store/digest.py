"""Digests: SHA-256 of what a zoo contains, whatever the objects it is stored in.

A member's digest covers its id, hyper-parameters and seed, the layer layout, the data set's fingerprint and, for each
checkpoint, the epoch, the little-endian weights as stored and the metrics; where the best epoch is kept, before it the
metrics of all epochs. NaN counts as one value. Cohorts, row order,
codecs, object names, attempts, versions and clocks are not in it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from geozoo.store.header import ZooHeader

_NOT_HYPERPARAMETERS = ("member", "cohort", "position")


class MemberDigests:
    """Digests of the members of a cohort, fed one checkpoint at a time in ascending order.

    ``rows`` are plan-table rows in the order of the blocks' members; ``metrics`` are the names of the metric columns.
    """

    def __init__(self, header: ZooHeader, rows: pd.DataFrame, metrics: list[str]) -> None:
        self._dtype = np.dtype(header.dtype).newbyteorder("<")
        self._metrics = sorted(metrics)
        shared = {
            "dataset": header.dataset["fingerprint"],
            "dtype": header.dtype,
            "layout": [slot.model_dump(mode="json") for slot in header.layout],
            "metrics": self._metrics,
        }
        hyperparameters = [
            {name: None if value != value else value for name, value in row.items()}  # NaN: not known, an imported zoo
            for row in rows.drop(columns=list(_NOT_HYPERPARAMETERS)).to_dict("records")
        ]
        self._hashes = {
            member: hashlib.sha256(_canonical({**shared, "member": member, "hyperparameters": values}))
            for member, values in zip(rows["member"], hyperparameters, strict=True)
        }

    def update(
        self, epoch: int, weights: np.ndarray[Any, Any] | None, metrics: Mapping[str, np.ndarray[Any, Any]]
    ) -> None:
        """Add one checkpoint: weights ``[members, params]`` and metrics ``{name: [members]}``.

        An epoch whose state is not kept has metrics alone.
        """
        if weights is not None:
            weights = _canonical_nan(np.ascontiguousarray(weights, dtype=self._dtype))
        table = np.stack([np.asarray(metrics[name], dtype="<f8") for name in self._metrics], axis=1)
        table = _canonical_nan(table)
        for row, digest in enumerate(self._hashes.values()):
            digest.update(struct.pack("<q", epoch))
            if weights is not None:
                digest.update(weights[row])
            digest.update(table[row])

    def hexdigests(self) -> dict[str, str]:
        """Digest by member id."""
        return {member: digest.hexdigest() for member, digest in self._hashes.items()}


def zoo_digest(members: Mapping[str, str]) -> str:
    """Digest of a zoo from the digests of its members."""
    return hashlib.sha256(_canonical(dict(members))).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _canonical_nan(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    nan = np.isnan(array)
    return np.where(nan, array.dtype.type(np.nan), array).astype(array.dtype) if nan.any() else array
