"""Tiny image sets of random pixels in the exact files of the published ones, and what a reader should find in them."""

from __future__ import annotations

import bz2
import io
import pickle
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support.images import draw_images, draw_mnist, encode_image, write_image_parquet, write_mnist

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Written:
    """Images ``uint8 [n, channels, height, width]`` and labels of the images to split and of the test split."""

    pool_images: NDArray[np.uint8]
    pool_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def draw_set(shape: tuple[int, ...], classes: int, pool: int = 60, test: int = 20) -> Written:
    """Random pixels; every class occurs where there are images enough."""
    labels = np.random.default_rng(5).permutation(np.arange(pool + test) % classes)
    return Written(draw_images(pool, shape, 6), labels[:pool], draw_images(test, shape, 7), labels[pool:])


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes bytes as Python 2 wrote its strings, which is what CIFAR's files hold."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def save_bytes(self, value: bytes) -> None:
        """One string, short or long."""
        short = len(value) < 256
        self.write((b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))) + value)
        self.memoize(value)

    def save_str(self, value: str) -> None:
        """Module and type names of NumPy, which are text here, were strings too."""
        self.save_bytes(value.encode("latin1"))

    dispatch[bytes] = save_bytes
    dispatch[str] = save_str


def pickle_as_python2(value: Any) -> bytes:
    """A pickle of protocol 2 with the strings and NumPy names of Python 2."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_cifar10_python(folder: Path) -> Written:
    written = draw_set((3, 32, 32), 10)
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(60), 5), start=1):
        _write_batch(place / f"data_batch_{number}", written.pool_images[rows], labels=written.pool_labels[rows])
    _write_batch(place / "test_batch", written.test_images, labels=written.test_labels)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (place / "batches.meta").write_bytes(pickle_as_python2({b"label_names": [name.encode() for name in names]}))
    return written


def write_cifar100_python(folder: Path) -> Written:
    written = draw_set((3, 32, 32), 100, pool=200)
    place = folder / "cifar-100-python"
    place.mkdir(parents=True)
    for name, images, labels in (
        ("train", written.pool_images, written.pool_labels),
        ("test", written.test_images, written.test_labels),
    ):
        _write_batch(place / name, images, fine_labels=labels, coarse_labels=labels // 5)
    (place / "meta").write_bytes(pickle_as_python2({b"fine_label_names": [b"apple"] * 100}))
    return written


def _write_batch(file: Path, images: NDArray[np.uint8], **labels: NDArray[np.int64]) -> None:
    batch: dict[bytes, Any] = {name.encode(): values.tolist() for name, values in labels.items()}
    names = [f"image_{row}.png".encode() for row in range(len(images))]
    batch |= {b"batch_label": b"a batch", b"filenames": names, b"data": images.reshape(len(images), -1)}
    file.write_bytes(pickle_as_python2(batch))


def write_cifar10_binary(folder: Path) -> Written:
    written = draw_set((3, 32, 32), 10)
    place = folder / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(60), 5), start=1):
        file = place / f"data_batch_{number}.bin"
        _write_rows(file, written.pool_images[rows], written.pool_labels[rows])
    _write_rows(place / "test_batch.bin", written.test_images, written.test_labels)
    return written


def write_cifar100_binary(folder: Path) -> Written:
    written = draw_set((3, 32, 32), 100, pool=200)
    place = folder / "cifar-100-binary"
    place.mkdir(parents=True)
    _write_rows(place / "train.bin", written.pool_images, written.pool_labels // 5, written.pool_labels)
    _write_rows(place / "test.bin", written.test_images, written.test_labels // 5, written.test_labels)
    return written


def _write_rows(file: Path, images: NDArray[np.uint8], *labels: NDArray[np.int64]) -> None:
    columns = [column.astype(np.uint8)[:, None] for column in labels]
    file.write_bytes(np.hstack([*columns, images.reshape(len(images), -1)]).tobytes())


def write_svhn(folder: Path) -> Written:
    from scipy.io import savemat

    written = draw_set((3, 32, 32), 10)
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in (
        ("train", written.pool_images, written.pool_labels),
        ("test", written.test_images, written.test_labels),
    ):
        counted = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(folder / f"{name}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": counted}, do_compression=True)
    return written


def write_stl10(folder: Path) -> Written:
    written = draw_set((3, 96, 96), 10)
    place = folder / "stl10_binary"
    place.mkdir(parents=True)
    for name, images, labels in (
        ("train", written.pool_images, written.pool_labels),
        ("test", written.test_images, written.test_labels),
    ):
        (place / f"{name}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
        (place / f"{name}_y.bin").write_bytes((labels + 1).astype(np.uint8).tobytes())
    return written


def write_usps_text(folder: Path) -> Written:
    """Values have four digits after the point, as published; the pixels are what torchvision makes of them."""
    drawn = draw_set((1, 16, 16), 10)
    folder.mkdir(parents=True, exist_ok=True)
    read = []
    for name, images, labels in (
        ("usps.bz2", drawn.pool_images, drawn.pool_labels),
        ("usps.t.bz2", drawn.test_images, drawn.test_labels),
    ):
        values = np.round(images.reshape(len(images), -1) / 127.5 - 1, 4)
        lines = [
            f"{label + 1} " + " ".join(f"{number}:{value:g}" for number, value in enumerate(row, start=1)) + " \n"
            for label, row in zip(labels, values, strict=True)
        ]
        (folder / name).write_bytes(bz2.compress("".join(lines).encode()))
        read.append(((values.astype(np.float32) + 1) / 2 * 255).astype(np.uint8).reshape(-1, 1, 16, 16))
    return Written(read[0], drawn.pool_labels, read[1], drawn.test_labels)


def write_usps_archive(folder: Path) -> Written:
    """One file of all digits, 7,291 of 9,298 to train on: here 73 of 93."""
    written = draw_set((1, 16, 16), 10, pool=73, test=20)
    folder.mkdir(parents=True, exist_ok=True)
    images = np.concatenate([written.pool_images, written.test_images])[:, 0]
    labels = np.concatenate([written.pool_labels, written.test_labels]).astype(np.uint8)
    np.savez_compressed(folder / "usps.npz", x=images, y=labels)
    return written


def write_fmnist(folder: Path) -> Written:
    arrays = draw_mnist()
    write_mnist(folder / "FashionMNIST" / "raw", arrays, compress=False)
    return Written(
        arrays.train_images[:, None],
        arrays.train_labels.astype(np.int64),
        arrays.test_images[:, None],
        arrays.test_labels.astype(np.int64),
    )


WNIDS = tuple(f"n{number:08d}" for number in range(1_443_537, 1_443_737))


def write_tiny_imagenet(folder: Path) -> Written:
    """The 200 classes with two images each; JPEG is lossy, so the pixels are Pillow's of the files."""
    drawn = replace(draw_set((3, 64, 64), 200, pool=400, test=40), pool_labels=np.repeat(np.arange(200), 2))
    place = folder / "tiny-imagenet-200"
    encoded = [[_jpeg(image) for image in images] for images in (drawn.pool_images, drawn.test_images)]
    for row, (content, label) in enumerate(zip(encoded[0], drawn.pool_labels, strict=True)):
        target = place / "train" / WNIDS[label] / "images"
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{WNIDS[label]}_{row:03d}.JPEG").write_bytes(content)
    (place / "val" / "images").mkdir(parents=True)
    lines = []
    for row, (content, label) in enumerate(zip(encoded[1], drawn.test_labels, strict=True)):
        (place / "val" / "images" / f"val_{row}.JPEG").write_bytes(content)
        lines.append(f"val_{row}.JPEG\t{WNIDS[label]}\t0\t32\t44\t62\n")
    (place / "val" / "val_annotations.txt").write_text("".join(lines))
    (place / "wnids.txt").write_text("\n".join(reversed(WNIDS)))
    pool, test = (np.stack([_decode(content) for content in part]) for part in encoded)
    return Written(pool, drawn.pool_labels, test, drawn.test_labels)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    return encode_image(image.transpose(1, 2, 0), "JPEG")


def _decode(content: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content))).transpose(2, 0, 1)


@dataclass(frozen=True)
class Layout:
    """One layout of one image set, and what writes a tiny one."""

    name: str
    write: Callable[[Path], Written]

    @property
    def title(self) -> str:
        """Set and generator, for the names of tests."""
        return self.write.__name__.removeprefix("write_")


LAYOUTS = (
    Layout("fmnist", write_fmnist),
    Layout("cifar10", write_cifar10_python),
    Layout("cifar10", write_cifar10_binary),
    Layout("cifar100", write_cifar100_python),
    Layout("cifar100", write_cifar100_binary),
    Layout("svhn", write_svhn),
    Layout("stl10", write_stl10),
    Layout("usps", write_usps_text),
    Layout("usps", write_usps_archive),
    Layout("tiny_imagenet", write_tiny_imagenet),
)


def write_parquet_parts(
    folder: Path, written: Written, names: Sequence[str], image: str = "image", label: str = "label"
) -> None:
    """Train and test files as the Hugging Face Hub has them, images as PNG, under the names of the set's columns."""
    import pyarrow.parquet as pq

    for part, images, labels in (
        ("train", written.pool_images, written.pool_labels),
        ("test", written.test_images, written.test_labels),
    ):
        file = folder / f"{part}-00000-of-00001.parquet"
        pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
        write_image_parquet(file, [encode_image(one) for one in pixels], labels, names)
        table = pq.read_table(file)
        metadata = {
            key: value.replace(b'"label"', f'"{label}"'.encode()) for key, value in table.schema.metadata.items()
        }
        pq.write_table(table.rename_columns([image, label]).replace_schema_metadata(metadata), file)
