"""Damaged and hostile files of the published layouts are refused in one sentence that names the file."""

from __future__ import annotations

import bz2
import io
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.datasets.restricted import unpickle_plain
from geozoo.errors import DataCorruptError
from tests.support.image_sets import (
    Written,
    pickle_as_python2,
    write_cifar10_binary,
    write_cifar10_python,
    write_cifar100_python,
    write_stl10,
    write_svhn,
    write_tiny_imagenet,
    write_usps_archive,
    write_usps_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Hostile:
    """Unpickled by ``pickle``, this would run a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def matlab(**arrays: Any) -> bytes:
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, arrays)
    return buffer.getvalue()


PIXELS = np.zeros((2, 3072), np.uint8)
LINE = "1 " + " ".join(f"{number}:0.5" for number in range(1, 257))
PICKLE, TEXT = "cifar-10-batches-py/data_batch_2", "usps.bz2"
BINARY, STL, TINY = "cifar-10-batches-bin/test_batch.bin", "stl10_binary", "tiny-imagenet-200"


@pytest.mark.parametrize(
    ("name", "write", "file", "content", "sentence"),
    [
        ("cifar10", write_cifar10_python, PICKLE, b"text", "cannot be read as a pickle of plain values"),
        ("cifar10", write_cifar10_python, PICKLE, b"", "cannot be read as a pickle of plain values"),
        ("cifar10", write_cifar10_python, PICKLE, pickle.dumps([1]), "holds a list, not a dictionary"),
        ("cifar10", write_cifar10_python, PICKLE, pickle_as_python2({b"data": PIXELS}), "has no 'labels' but data"),
        (
            "cifar10",
            write_cifar10_python,
            PICKLE,
            pickle.dumps({"data": 3, "labels": []}),
            "has data as int, not uint8",
        ),
        (
            "cifar10",
            write_cifar10_python,
            PICKLE,
            pickle.dumps({"data": PIXELS[:, :9], "labels": [1, 2]}),
            r"has data as uint8 \[2, 9\], not uint8 \[n, 3072\]",
        ),
        ("cifar10", write_cifar10_python, PICKLE, pickle.dumps({"data": PIXELS, "labels": "ab"}), "no list of whole"),
        (
            "cifar10",
            write_cifar10_python,
            PICKLE,
            pickle.dumps({"data": PIXELS, "labels": [1]}),
            "2 images but 1 labels",
        ),
        (
            "cifar10",
            write_cifar10_python,
            PICKLE,
            pickle.dumps({"data": PIXELS, "labels": [1, 10]}),
            "label 10 at row 1, outside 0 to 9",
        ),
        (
            "cifar100",
            write_cifar100_python,
            "cifar-100-python/test",
            pickle.dumps({"data": PIXELS}),
            "no 'fine_labels'",
        ),
        ("cifar10", write_cifar10_binary, BINARY, bytes(3072), "3072 bytes, not a multiple of the 3073"),
        ("cifar10", write_cifar10_binary, BINARY, b"\x0b" + bytes(3072), "label 11 at row 0"),
        ("cifar10", write_cifar10_binary, BINARY, b"", "holds no images"),
        ("svhn", write_svhn, "train_32x32.mat", b"text", "cannot be read as a MATLAB file"),
        ("svhn", write_svhn, "train_32x32.mat", matlab(y=np.ones((3, 1))), "not X as uint8"),
        (
            "svhn",
            write_svhn,
            "test_32x32.mat",
            matlab(X=np.zeros((32, 32, 3, 2), np.uint8), y=np.array([[3], [11]], np.uint8)),
            "label 11 at row 1",
        ),
        ("stl10", write_stl10, f"{STL}/train_X.bin", bytes(5), "5 bytes, not a multiple of the 27648"),
        ("stl10", write_stl10, f"{STL}/test_y.bin", bytes([1] * 19), "20 images but .* has 19 labels"),
        ("stl10", write_stl10, f"{STL}/test_y.bin", bytes([0] * 20), "label -1 at row 0"),
        ("usps", write_usps_text, TEXT, b"text", "cannot be read as text packed by bzip2"),
        ("usps", write_usps_text, TEXT, bz2.compress(b"1 1:0.5 2:0.5\n"), "no label and 256 values .* in line 1"),
        ("usps", write_usps_text, TEXT, bz2.compress(f"{LINE}\n{LINE}.1\n1\n".encode()), "in line 2"),
        ("usps", write_usps_text, TEXT, bz2.compress(LINE.replace("7:0.5", "7:1.5", 1).encode()), "in line 1"),
        ("usps", write_usps_text, TEXT, bz2.compress(LINE.replace("1 1:", "11 1:", 1).encode()), "label 10 at row 0"),
        ("usps", write_usps_text, TEXT, bz2.compress(b""), "holds no images"),
        ("usps", write_usps_archive, "usps.npz", b"text", "cannot be read as arrays x and y"),
        ("usps", write_usps_archive, "usps.npz", saved(x=np.zeros(3)), "cannot be read as arrays x and y"),
        ("usps", write_usps_archive, "usps.npz", saved(x=np.zeros((3, 16, 16)), y=np.zeros(3)), "has x as float64"),
        ("usps", write_usps_archive, "usps.npz", saved(x=np.array([{}]), y=np.array([{}])), "cannot be read as arrays"),
        ("tiny_imagenet", write_tiny_imagenet, f"{TINY}/val/val_annotations.txt", b"", "is empty"),
        (
            "tiny_imagenet",
            write_tiny_imagenet,
            f"{TINY}/val/val_annotations.txt",
            b"a.JPEG\tn1\t0\n",
            "class 'n1' in line 1",
        ),
        (
            "tiny_imagenet",
            write_tiny_imagenet,
            f"{TINY}/val/val_annotations.txt",
            b"../../secret\tn01443537\t0\n",
            "'../../secret' in line 1, which is no file name",
        ),
        ("tiny_imagenet", write_tiny_imagenet, f"{TINY}/val/images/val_3.JPEG", b"text", "its format is unknown"),
        ("tiny_imagenet", write_tiny_imagenet, f"{TINY}/train/n00000001/x", b"", "folders of 201 classes, not of 200"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], Written], file: str, content: bytes, sentence: str
) -> None:
    write(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataCorruptError, match=sentence) as caught:
        load_image_set(DatasetOptions(name=name, path=str(tmp_path)))
    assert str(Path(tmp_path / file).parent.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(5))
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    write_cifar10_python(tmp_path)
    target = tmp_path / "ran"
    hostile = {"data": PIXELS, "labels": [1, Hostile(target)]}
    (tmp_path / PICKLE).write_bytes(pickle.dumps(hostile, protocol))
    with pytest.raises(DataCorruptError, match=r"it names (posix|nt)\.system, which is no plain value"):
        load_image_set(DatasetOptions(name="cifar10", path=str(tmp_path)))
    assert not target.exists()


@pytest.mark.parametrize(
    "value",
    [eval, getattr, io.BytesIO, np.load, np.memmap, np.frombuffer, Path("x"), {1, 2}.__class__, bytearray(b"x")],
    ids=str,
)
def test_names_other_than_arrays_are_refused(tmp_path: Path, value: object) -> None:
    for protocol in (2, 4):
        (tmp_path / "file").write_bytes(pickle.dumps(value, protocol))
        with pytest.raises(DataCorruptError, match="it names"):
            unpickle_plain(tmp_path / "file")


@pytest.mark.parametrize("protocol", range(5))
def test_plain_values_come_back(tmp_path: Path, protocol: int) -> None:
    value = {
        "data": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "labels": [1, 2],
        "x": (b"bytes \xff", "text", 1.5, None),
    }
    (tmp_path / "file").write_bytes(pickle.dumps(value, protocol))
    read = unpickle_plain(tmp_path / "file")
    np.testing.assert_array_equal(read.pop("data"), value.pop("data"))
    assert read == value
