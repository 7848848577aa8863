from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geozoo.datasets import DatasetOptions, ImageSet, load_image_set
from geozoo.errors import DataCorruptError, DataNotFoundError
from tests.support.images import draw_images, draw_mnist, encode_idx, write_mnist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARRAYS = draw_mnist()
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def load_mnist(path: Path | None = None, size: int = 28) -> ImageSet:
    return load_image_set(DatasetOptions(name="mnist", path=None if path is None else str(path), size=size))


@pytest.mark.parametrize("compress", [False, True])
def test_decoded_images_are_the_written_ones(tmp_path: Path, compress: bool) -> None:
    write_mnist(tmp_path, ARRAYS, compress=compress)
    mnist = load_mnist(tmp_path)
    rows = np.random.Generator(np.random.PCG64(42)).permutation(60)
    for split, part in ((mnist.train, rows[:50]), (mnist.validation, rows[50:])):
        np.testing.assert_array_equal(split.images[:, 0], ARRAYS.train_images[part])
        np.testing.assert_array_equal(split.labels, ARRAYS.train_labels[part])
    test_rows = np.random.Generator(np.random.PCG64(42)).permutation(20)
    np.testing.assert_array_equal(mnist.test.images[:, 0], ARRAYS.test_images[test_rows])
    np.testing.assert_array_equal(mnist.test.labels, ARRAYS.test_labels[test_rows])


def test_torchvision_reads_the_same_images(tmp_path: Path) -> None:
    from torchvision.datasets import MNIST

    write_mnist(tmp_path / "MNIST" / "raw", ARRAYS, compress=False)
    mnist = load_mnist(tmp_path)
    theirs = MNIST(tmp_path, train=True)
    rows = np.random.Generator(np.random.PCG64(42)).permutation(60)
    np.testing.assert_array_equal(mnist.train.images[:, 0], theirs.data.numpy()[rows[:50]])
    np.testing.assert_array_equal(mnist.train.labels, theirs.targets.numpy()[rows[:50]])


def test_fingerprint_is_that_of_the_images_not_of_the_files(tmp_path: Path) -> None:
    write_mnist(tmp_path / "plain", ARRAYS, compress=False)
    write_mnist(tmp_path / "packed", ARRAYS, compress=True)
    plain = load_mnist(tmp_path / "plain").fingerprint
    assert plain == load_mnist(tmp_path / "plain").fingerprint == load_mnist(tmp_path / "packed").fingerprint

    content = bytearray((tmp_path / "plain" / TRAIN_IMAGES).read_bytes())
    content[-1] ^= 1
    (tmp_path / "plain" / TRAIN_IMAGES).write_bytes(content)
    assert load_mnist(tmp_path / "plain").fingerprint != plain


@pytest.mark.parametrize("layout", ["mnist", "MNIST/raw"])
def test_found_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    write_mnist(tmp_path / layout, ARRAYS, compress=True)
    monkeypatch.setenv("GEOZOO_DATA", str(tmp_path))
    assert load_mnist(size=14).size == 14


def test_missing_files_are_named_with_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOZOO_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError) as caught:
        load_mnist()
    sentence = str(caught.value)
    for part in (TRAIN_IMAGES, str(tmp_path / "mnist"), str(tmp_path / "MNIST" / "raw"), "https://", "dataset.path"):
        assert part in sentence
    assert "\n" not in sentence

    write_mnist(tmp_path / "mnist", ARRAYS, compress=False)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataNotFoundError, match=r"^t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz of"):
        load_mnist()


def test_without_data_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOZOO_DATA", raising=False)
    with pytest.raises(DataNotFoundError, match="GEOZOO_DATA is not set"):
        load_mnist()


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        (TRAIN_IMAGES, lambda content: b"\x00\x00\x0d\x03" + content[4:], "starts with the bytes '00 00 0d 03'"),
        (TRAIN_IMAGES, lambda content: encode_idx(ARRAYS.train_labels), "'00 00 08 01' instead of '00 00 08 03'"),
        (TRAIN_IMAGES, lambda content: b"", "starts with the bytes ''"),
        (TRAIN_IMAGES, lambda content: content[:10], "ends after 10 bytes, inside its header of 16 bytes"),
        (TRAIN_IMAGES, lambda content: content[:-5], "has 47035 bytes of values but its header .* asks for 47040"),
        (TRAIN_IMAGES, lambda content: content + b"\x00", "has 47041 bytes of values but its header"),
        (TRAIN_IMAGES, lambda content: encode_idx(draw_images(0, (28, 28))), "is empty"),
        (TRAIN_IMAGES, lambda content: encode_idx(draw_images(60, (28, 27))), "images of 28x27 pixels, not square"),
        (TRAIN_LABELS, lambda content: encode_idx(ARRAYS.train_labels[:59]), "has 60 images but .* has 59 labels"),
        (TRAIN_LABELS, lambda content: content[:8] + b"\x01\x0a" + content[10:], "label 10 at row 1, beyond the 10"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, damage: Callable[[bytes], bytes], sentence: str) -> None:
    write_mnist(tmp_path, ARRAYS, compress=False)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(DataCorruptError, match=sentence) as caught:
        load_mnist(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(gzip.decompress, id="not gzip"),
        pytest.param(lambda content: content[:-100], id="truncated"),
        pytest.param(lambda content: content[:500] + b"\xff\xff\xff" + content[503:], id="damaged stream"),
        pytest.param(lambda content: content[:-8] + bytes(8), id="wrong checksum"),
    ],
)
def test_damaged_gzip_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_mnist(tmp_path, ARRAYS, compress=True)
    file = tmp_path / f"{TRAIN_IMAGES}.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataCorruptError, match="cannot be read: ") as caught:
        load_mnist(tmp_path)
    assert str(file) in str(caught.value)


def test_too_few_images_to_split_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, draw_mnist(train=2, test=2), compress=False)
    with pytest.raises(DataCorruptError, match=r"validation split .*'mnist' would be empty .* only 2 images"):
        load_mnist(tmp_path)


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("GEOZOO_DATA", ""), "mnist")),
    reason="needs the real MNIST: set GEOZOO_DATA to a folder with mnist/",
)
def test_real_mnist() -> None:
    mnist = load_mnist()
    assert [len(split) for split in (mnist.train, mnist.validation, mnist.test)] == [50_000, 10_000, 10_000]
    labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = np.concatenate([mnist.train.images, mnist.validation.images]) / np.float32(255)
    assert mnist.mean == pytest.approx((pixels.mean(dtype=np.float64),), abs=5e-5)
    assert mnist.std == pytest.approx((pixels.std(dtype=np.float64),), abs=5e-5)
