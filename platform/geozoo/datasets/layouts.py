"""File layouts: the forms in which one image set lies on disk, tried one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.images import ImageSplit
from geozoo.datasets.locate import candidate_paths, not_found
from geozoo.datasets.prepare import prepare
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geozoo.datasets.prepare import Preparation
    from geozoo.datasets.record import Decoded, ImageSetRecord

    Layout = Callable[[ImageSetRecord, Path, Preparation], Decoded | None]
    Reader = Callable[[ImageSetRecord, str | None, Preparation], Decoded]


def read_first(what: str, *layouts: Layout) -> Reader:
    """A reader that takes the first folder and layout that are there.

    A layout returns None where none of its files lies in the folder. ``what`` names the files in the error that says
    nothing was found.
    """

    def read(record: ImageSetRecord, path: str | None, how: Preparation) -> Decoded:
        folders = candidate_paths(record, path)
        for folder in folders:
            for layout in layouts:
                if (decoded := layout(record, folder, how)) is not None:
                    return decoded
        raise not_found(record, what, folders)

    return read


def all_or_none(
    record: ImageSetRecord, folder: Path, names: Sequence[str], suffixes: Sequence[str] = ("",)
) -> list[Path] | None:
    """The files of these names in ``folder``, or None where there is none of them; some alone raise.

    A name may end in any of ``suffixes``, the first of them going first.
    """
    found = [[file for suffix in suffixes if (file := folder / f"{name}{suffix}").is_file()] for name in names]
    missing = [
        " or ".join(f"{name}{s}" for s in suffixes) for name, files in zip(names, found, strict=True) if not files
    ]
    if len(missing) == len(names):
        return None
    if missing:
        raise not_found(record, ", ".join(missing), [folder])
    return [files[0] for files in found]


def folders_of(name: str, *inner: str) -> tuple[str, ...]:
    """``name``, the folders that archives unpack to, and these below ``name``."""
    return (name, *inner, *(f"{name}/{folder}" for folder in inner))


def read_bytes(file: Path) -> bytes:
    """The content of a file; `DataCorruptError` where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataCorruptError(f"{file} cannot be read: {error.strerror or error}") from error


def checked_split(
    record: ImageSetRecord, file: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], how: Preparation
) -> ImageSplit:
    """Prepared images ``uint8 [n, channels, height, width]`` and labels, which must be as many and below the classes.

    Raises:
        DataCorruptError: they are not; ``file`` is named.
    """
    if not len(images):
        raise DataCorruptError(f"{file} holds no images")
    if len(images) != len(labels):
        raise DataCorruptError(f"{file} has {len(images)} images but {len(labels)} labels")
    check_labels(file, labels, record.num_classes or 0)
    return ImageSplit(prepare(images, how), labels)


def check_labels(file: Path, labels: NDArray[np.int64], classes: int) -> None:
    """Refuse labels outside 0 to ``classes - 1``."""
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataCorruptError(f"{file} has label {labels[row]} at row {row}, outside 0 to {classes - 1}")
