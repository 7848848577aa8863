"""Raster files on disk, and images in the rows of Parquet files: opened, never copied."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class BandFile:
    """Where one band lies: band ``index`` (from 1) of a raster file, or of the image in a row of a Parquet file."""

    path: str
    index: int = 1
    row: int | None = None

    def __str__(self) -> str:
        return self.path if self.row is None else f"{self.path} (row {self.row})"


@contextlib.contextmanager
def opened(file: BandFile) -> Iterator[Any]:
    """The raster file of a band, open for reading (a ``rasterio.DatasetReader``).

    Raises:
        DataNotFoundError: it is missing.
        DataCorruptError: it cannot be opened, or a read inside the block fails.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    if file.row is None and not file.path.startswith("/vsi") and not os.path.exists(file.path):
        raise DataNotFoundError(f"{file} is missing: restore it, or remove what refers to it")
    # Images without a place are common; to catch the warning instead would not be safe among threads.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), contextlib.ExitStack() as stack:
            if file.row is not None:
                memory = stack.enter_context(_in_memory(_encoded(file.path)[file.row]))
                yield stack.enter_context(memory.open())
            elif file.path.lower().endswith((".jpg", ".jpeg")):
                memory = stack.enter_context(_in_memory(Path(file.path).read_bytes()))
                yield stack.enter_context(memory.open())
            else:
                yield stack.enter_context(rasterio.open(file.path))
    except DataNotFoundError:
        raise
    except OSError as error:  # of rasterio or Pillow
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataCorruptError(f"{file} cannot be read ({reason}): fetch it again") from error


def _in_memory(content: bytes) -> Any:
    """An encoded image as a ``rasterio.MemoryFile``.

    JPEG is decoded by Pillow, as torchvision and published work do: GDAL enlarges the colour channels otherwise, which
    moves values of EuroSAT by up to 45.
    """
    import rasterio

    if not content.startswith(b"\xff\xd8"):
        return rasterio.MemoryFile(content)
    pixels = np.atleast_3d(np.asarray(Image.open(io.BytesIO(content)))).transpose(2, 0, 1)
    memory = rasterio.MemoryFile()
    count, height, width = pixels.shape
    with memory.open(driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype) as target:
        target.write(pixels)
    return memory


@lru_cache(maxsize=4)
def _encoded(path: str) -> list[bytes]:
    """The encoded images of a Parquet file in the Hugging Face layout, kept: a file is asked row by row."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        column = pq.read_table(path, columns=["image"], partitioning=None)["image"]
        return list(pc.struct_field(column, "bytes").to_pylist())
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is missing: restore it, or remove what refers to it") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataCorruptError(f"{path} cannot be read as Parquet ({reason}): fetch it again") from error
