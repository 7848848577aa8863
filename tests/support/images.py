"""Small image sets in the file layouts of the real ones."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class MnistArrays:
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def draw_images(count: int, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def draw_mnist(train: int = 60, test: int = 20, size: int = 28) -> MnistArrays:
    draw_label = np.random.default_rng(1).integers
    return MnistArrays(
        train_images=draw_images(train, (size, size), seed=2),
        train_labels=draw_label(0, 10, train, dtype=np.uint8),
        test_images=draw_images(test, (size, size), seed=3),
        test_labels=draw_label(0, 10, test, dtype=np.uint8),
    )


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return header + array.tobytes()


def write_mnist(folder: Path, arrays: MnistArrays, *, compress: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "train-images-idx3-ubyte": arrays.train_images,
        "train-labels-idx1-ubyte": arrays.train_labels,
        "t10k-images-idx3-ubyte": arrays.test_images,
        "t10k-labels-idx1-ubyte": arrays.test_labels,
    }
    for name, array in files.items():
        content = encode_idx(array)
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def encode_image(pixels: NDArray[Any], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write_image_parquet(
    file: Path,
    encoded: Sequence[bytes | None],
    labels: Sequence[int | None] | NDArray[np.int64],
    names: Sequence[str] | None = None,
) -> None:
    """A file as ``datasets.Dataset.to_parquet`` writes it."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": content, "path": f"{row}.png"} for row, content in enumerate(encoded)]
    table = pa.table({"image": pa.array(rows, image), "label": pa.array(labels, pa.int64())})
    if names is not None:
        label = {"names": list(names), "_type": "ClassLabel"}
        features = {"image": {"_type": "Image"}, "label": label}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=16)
