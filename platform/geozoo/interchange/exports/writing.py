"""Writing what was not there before: a folder or a file appears whole or not at all, and nothing is replaced."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from geozoo.errors import InputError, StoreLostError
from geozoo.store.shards import MAX_SHARD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.store import Zoo
    from geozoo.store.weights import Indices


@contextmanager
def new_folder(destination: str | Path) -> Iterator[Path]:
    """Give a folder to fill, which is renamed to ``destination`` at the end and removed on an exception.

    Raises:
        InputError: the destination is there already, or cannot be made.
        StoreLostError: the disk failed meanwhile.
    """
    target = _fresh(destination)
    partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written ({error.strerror}): choose another folder.") from error
    try:
        yield partial
        os.rename(partial, _fresh(target))
    except OSError as error:
        raise StoreLostError(f"cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_file(destination: str | Path) -> Iterator[Path]:
    """Give a file to write, which becomes ``destination`` at the end and is removed on an exception.

    Raises:
        InputError: the destination is there already, or its folder is not.
        StoreLostError: the disk failed meanwhile.
    """
    target = _fresh(destination)
    if not target.parent.is_dir():
        raise InputError(f"{str(target)!r} cannot be written: folder {str(target.parent)!r} does not exist.")
    partial = target.with_name(f".{uuid4().hex[:8]}.{target.name}")
    try:
        yield partial
        os.link(partial, target)
    except FileExistsError:
        _fresh(target)
    except OSError as error:
        raise StoreLostError(f"cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _fresh(destination: str | Path) -> Path:
    target = Path(destination).expanduser()
    if os.path.lexists(target):
        raise InputError(f"{str(target)!r} is there already, and an export replaces nothing: choose another name.")
    return target


def chosen_rows(zoo: Zoo, members: Sequence[str]) -> Indices:
    """Rows of ``zoo.members``: of the members named, or of all committed ones.

    Raises:
        InputError: there is no such member, or the zoo has none that is committed.
    """
    ids = list(zoo.members["member"])
    if unknown := [member for member in members if member not in set(ids)]:
        raise InputError(f"there is no member {unknown[0]!r} in {zoo.url}: see geozoo show, or zoo.members.")
    if members:
        return np.array([ids.index(member) for member in dict.fromkeys(members)], dtype=np.intp)
    rows = np.flatnonzero(zoo.members["committed"])
    if not len(rows):
        raise InputError(f"no member of {zoo.url} is committed, so there is nothing to export: populate it first.")
    return rows


def chosen_epochs(zoo: Zoo, epochs: Sequence[int]) -> tuple[int, ...]:
    """The epochs asked for, ascending, or all checkpoints.

    Raises:
        InputError: one is not stored.
    """
    if unknown := sorted(set(epochs) - set(zoo.checkpoints)):
        known = ", ".join(map(str, zoo.checkpoints))
        raise InputError(f"epoch {unknown[0]} is not stored in {zoo.url}: its checkpoints are {known}.")
    return tuple(sorted(set(epochs))) if epochs else zoo.checkpoints


def row_blocks(zoo: Zoo, rows: Indices, most_bytes: int = MAX_SHARD_BYTES) -> list[Indices]:
    """Rows in parts whose states at one epoch fit in so many bytes, along the order of storage."""
    size = max(1, most_bytes // (4 * zoo.header.num_parameters))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def tensors_of(zoo: Zoo, states: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Tensors by name ``[states, *shape]`` from flat weights ``[states, params]``, each with its own storage."""
    import torch

    return {
        slot.name: torch.from_numpy(np.ascontiguousarray(states[:, slot.span]).reshape(len(states), *slot.shape))
        for slot in zoo.layout
    }
