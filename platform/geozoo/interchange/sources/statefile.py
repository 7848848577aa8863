"""One state in one file: safetensors, or a ``state_dict`` of ``torch.save``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from geozoo.interchange.network import Shapes, shapes_of
from geozoo.interchange.restricted import load_safetensors, load_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

SAFETENSORS = ".safetensors"
STATE_SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".bin")
_FLOATS = {"F64", "F32", "F16", "BF16"}


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name.

    Raises:
        UnsafeFileError: it is pickled and holds more than tensors.
        DataNotFoundError: it is not there.
        DataCorruptError: it is damaged.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {str(path)!r}: check the table or index that names it.")
    return load_safetensors(path) if path.suffix == SAFETENSORS else as_state(load_tensors(path), path)


def read_shapes(path: Path) -> Shapes:
    """Names and shapes of the floating-point tensors of a file, of safetensors without reading them.

    Safetensors files do not keep the order of a ``state_dict``: their tensors are put in the order of the numbers in
    their names, weights before biases.
    """
    if path.suffix != SAFETENSORS or not path.is_file():
        return shapes_of(read_state(path))
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            names = [name for name in sorted(slices, key=_as_a_person_sorts) if slices[name].get_dtype() in _FLOATS]
            return tuple((name, tuple(slices[name].get_shape())) for name in names)
    except (SafetensorError, OSError) as error:
        raise DataCorruptError(f"{str(path)!r} cannot be read as safetensors: get it again.") from error


def _as_a_person_sorts(name: str) -> tuple[list[tuple[int, str]], bool, str]:
    """Numbers by value, and the weight of a module before its bias."""
    owner, _, leaf = name.rpartition(".")
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", owner)]
    return parts, leaf != "weight", leaf


def as_state(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a loaded ``state_dict``, alone or under the key ``state_dict`` or ``model``.

    Raises:
        InputError: it is none.
    """
    import torch

    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise InputError(
            f"{str(path)!r} holds no state_dict but {type(loaded).__name__}: give files of tensors by name."
        )
    return {name: tensor for name, tensor in loaded.items() if isinstance(tensor, torch.Tensor)}
