"""Unpickling of plain values: NumPy arrays, text, bytes, numbers, lists, tuples and dictionaries, and nothing else."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.datasets.layouts import read_bytes
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Python 3 writes bytes into old pickles as text that is encoded when read; only this encoding occurs."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


_reconstruct = np.empty(0).__reduce__()[0]
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain value") from None


def unpickle_plain(file: Path) -> Any:
    """Unpickle a file that holds plain values; nothing that it names is imported or called.

    Byte strings of Python 2 become text, as Latin-1.

    Raises:
        DataCorruptError: the file is no pickle, is damaged, or names anything but NumPy's arrays.
    """
    try:
        return _PlainUnpickler(io.BytesIO(read_bytes(file)), encoding="latin1").load()
    except DataCorruptError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataCorruptError(f"{file} cannot be read as a pickle of plain values: {reason}") from error
