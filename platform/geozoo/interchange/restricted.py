"""Reading files of other people as data: tensors and plain values, and nothing that runs."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DataCorruptError, DataNotFoundError, UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

_PICKLE = b"\x80"
_END_OF_ZIP = b"PK\x05\x06"
_END_SIZE = 22
_NAMED = re.compile(r"(?:GLOBAL |whose module |function |but got )([\w.]+|<[^>]+>)")


class Inert:
    """Stands for an object of a class that is not loaded: keeps the attributes, has no behaviour."""

    def __new__(cls, *arguments: object) -> Inert:
        """Take any arguments, and forget them."""
        return super().__new__(cls)

    def __init__(self, *arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def load_tensors(path: Path, inert: Iterable[str] = (), *, mapped: bool = False) -> Any:
    """Load a file of ``torch.save``, zip or older, with torch's restricted unpickler, on the CPU.

    Tensors, ordered dictionaries and plain containers are read; with ``inert`` also paths and NumPy scalars, and
    objects of the classes named there (``module.Class``), which become `Inert`. Any other object makes it unsafe.

    Args:
        path: the file.
        inert: classes whose objects are kept as their attributes alone.
        mapped: leave the tensors on disk until they are used, where the file is a zip.

    Raises:
        UnsafeFileError: it holds anything else; nothing of it ran.
        DataCorruptError: it is cut short or no such file.
        DataNotFoundError: it is not there.
    """
    import torch

    named = [(Inert, name) for name in inert]
    allowed = [*_harmless(), *named] if named else []  # torch looks through these at every object
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # the one sentence of an error follows
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and _is_zip(path))
    except FileNotFoundError as error:
        raise DataNotFoundError(f"there is no file {str(path)!r}: check the path.") from error
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataCorruptError(
            f"{str(path)!r} cannot be read as a file of torch.save ({_first_line(error)}): get it again."
        ) from error


def _harmless() -> list[Any]:
    """What published files hold besides what torch allows by itself; paths become pure ones, which touch no disk."""
    names = ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"]
    paths: list[Any] = [(PurePosixPath, f"{module}.PosixPath") for module in ("pathlib", "pathlib._local")]
    paths += [(PureWindowsPath, f"{module}.WindowsPath") for module in ("pathlib", "pathlib._local")]
    types = [getattr(np.dtypes, name) for name in np.dtypes.__all__ if name != "ObjectDType"]
    return [*((_numpy_scalar, name) for name in names), np.dtype, *types, *paths]


def _numpy_scalar(dtype: np.dtype[Any], data: object) -> object:
    """A plain number from the pickled form of a NumPy scalar; one of objects is refused."""
    if dtype.kind not in "biuf" or not isinstance(data, bytes):
        raise pickle.UnpicklingError("Unsupported global: GLOBAL numpy.object_")
    return np.frombuffer(data, dtype)[0].item()


def _refusal(path: Path, text: str) -> UnsafeFileError | DataCorruptError:
    """What the restricted unpickler did not take: no pickle at all, or one that asks for more than data."""
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == _PICKLE:
        found = _NAMED.search(text)
        what = f" ({found[1]})" if found else ""
        return UnsafeFileError(
            f"{str(path)!r} holds an object other than tensors and plain values{what}, which could run code, so "
            "nothing of it was loaded: get the file from a source you trust, saved as tensors."
        )
    return DataCorruptError(f"{str(path)!r} cannot be read as a file of torch.save: get it again.")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:120]


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def looks_whole(path: Path) -> bool:
    """Whether a file of ``torch.save`` is there and not cut short, as far as its first and last bytes tell."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start[:2] != b"PK":
                return bool(start)
            file.seek(-_END_SIZE, 2)
            return file.read(4) == _END_OF_ZIP
    except OSError:
        return False


def load_array(path: Path) -> np.ndarray[Any, Any]:
    """Open a ``.npy`` file of numbers, mapped and read-only.

    Raises:
        UnsafeFileError: it holds objects, which are pickled.
        DataCorruptError: it is cut short or no such file.
        DataNotFoundError: it is not there.
    """
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"there is no file {str(path)!r}: check the path.") from error
    except ValueError as error:
        if "object" in str(error).lower() or "pickle" in str(error).lower():
            raise UnsafeFileError(
                f"{str(path)!r} holds pickled objects and not numbers, which could run code, so nothing of it was "
                "loaded: get the file from a source you trust, saved as numbers."
            ) from error
        raise DataCorruptError(f"{str(path)!r} is not a whole .npy file: get it again.") from error
    except (OSError, EOFError) as error:
        raise DataCorruptError(f"{str(path)!r} is not a whole .npy file: get it again.") from error
    return array


def load_safetensors(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name.

    Raises:
        DataCorruptError: it is damaged or no such file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise DataCorruptError(f"{str(path)!r} cannot be read as safetensors ({_first_line(error)}).") from error


def load_json(path: Path) -> Any:
    """The content of a JSON file; NaN and Infinity are numbers, as Python writes them.

    Raises:
        DataCorruptError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataCorruptError(f"{str(path)!r} cannot be read as JSON: get it again.") from error


def inside(folder: Path, name: str) -> Path:
    """The path of a file that another file names, which must lie in ``folder``.

    Raises:
        UnsafeFileError: it lies elsewhere, by ``..``, by an absolute name or through a link.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UnsafeFileError(
            f"{name!r} leads out of {str(folder)!r}: a table or index may name files of its own folder only."
        )
    return path
