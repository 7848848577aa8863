"""Every published image set, in every layout it comes in: what was written is read, and as torchvision reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.datasets import IMAGE_SETS, DatasetOptions, ImageSet, load_image_set
from geozoo.errors import DataCorruptError, DataNotFoundError
from tests.support.image_sets import (
    LAYOUTS,
    WNIDS,
    Layout,
    Written,
    draw_set,
    write_cifar10_python,
    write_cifar100_python,
    write_fmnist,
    write_parquet_parts,
    write_stl10,
    write_svhn,
    write_tiny_imagenet,
    write_usps_archive,
    write_usps_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SHARES = {"fmnist": 10 / 60, "cifar10": 8 / 50, "cifar100": 10 / 50, "svhn": 13_257 / 73_257, "stl10": 800 / 5000} | {
    "usps": 1_291 / 7_291,
    "tiny_imagenet": 0.1,
}


def load(name: str, path: Path | None, **options: Any) -> ImageSet:
    return load_image_set(DatasetOptions(name=name, path=None if path is None else str(path), **options))


def assert_holds(images: ImageSet, written: Written, share: float) -> None:
    rows = np.random.Generator(np.random.PCG64(42)).permutation(len(written.pool_labels))
    cut = len(rows) - round(share * len(rows))
    for split, part in ((images.train, rows[:cut]), (images.validation, rows[cut:])):
        np.testing.assert_array_equal(split.images, written.pool_images[part])
        np.testing.assert_array_equal(split.labels, written.pool_labels[part])
    test_rows = np.random.Generator(np.random.PCG64(42)).permutation(len(written.test_labels))
    np.testing.assert_array_equal(images.test.images, written.test_images[test_rows])
    np.testing.assert_array_equal(images.test.labels, written.test_labels[test_rows])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_what_was_written_is_read(tmp_path: Path, layout: Layout) -> None:
    written = layout.write(tmp_path)
    images = load(layout.name, tmp_path)
    assert_holds(images, written, SHARES[layout.name])
    record = IMAGE_SETS[layout.name]
    assert (images.channels, images.size, images.num_classes) == (record.channels, record.size, record.num_classes)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_found_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout) -> None:
    layout.write(tmp_path / layout.name)
    monkeypatch.setenv("GEOZOO_DATA", str(tmp_path))
    if layout.name == "fmnist":
        (tmp_path / "fmnist" / "FashionMNIST").rename(tmp_path / "FashionMNIST")
    assert load(layout.name, None, size=9).size == 9


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_every_file_is_needed(tmp_path: Path, layout: Layout) -> None:
    layout.write(tmp_path)
    ignored = {"batches.meta", "meta", "wnids.txt"}
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file() and file.name not in ignored)
    lost = files[-1]
    lost.unlink()
    with pytest.raises((DataNotFoundError, DataCorruptError), match=r"^[^\n]*$") as caught:
        load(layout.name, tmp_path)
    assert lost.name in str(caught.value)


@pytest.mark.parametrize("name", SHARES)
def test_nothing_found_names_files_places_and_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataNotFoundError, match=r"^[^\n]* was not found \(not in [^\n]*: get [^\n]*https?://"
    ) as caught:
        load(name, tmp_path)
    assert str(tmp_path) in str(caught.value)


def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision compares files with the MD5 sums of the real ones."""
    import torchvision.datasets as theirs

    for kind in (theirs.CIFAR10, theirs.SVHN, theirs.STL10):
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)


def torchvision_arrays(name: str, folder: Path, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``[n, channels, height, width]`` and labels, as torchvision reads them."""
    import torchvision.datasets as theirs

    split = "train" if train else "test"
    found: Any
    match name:
        case "cifar10":
            found = theirs.CIFAR10(folder, train=train)
            return found.data.transpose(0, 3, 1, 2), np.array(found.targets)
        case "cifar100":
            found = theirs.CIFAR100(folder, train=train)
            return found.data.transpose(0, 3, 1, 2), np.array(found.targets)
        case "svhn":
            found = theirs.SVHN(str(folder), split=split)
            return found.data, found.labels
        case "stl10":
            found = theirs.STL10(str(folder), split=split)
            return found.data, found.labels.astype(np.int64)
        case "usps":
            found = theirs.USPS(str(folder), train=train)
            return found.data[:, None], np.array(found.targets)
        case "fmnist":
            found = theirs.FashionMNIST(folder, train=train)
            return found.data.numpy()[:, None], found.targets.numpy()
    raise ValueError(name)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("fmnist", write_fmnist),
        ("cifar10", write_cifar10_python),
        ("cifar100", write_cifar100_python),
        ("svhn", write_svhn),
        ("stl10", write_stl10),
        ("usps", write_usps_text),
    ],
)
def test_torchvision_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], Written]
) -> None:
    write(tmp_path)
    trust(monkeypatch)
    pool_images, pool_labels = torchvision_arrays(name, tmp_path, train=True)
    test_images, test_labels = torchvision_arrays(name, tmp_path, train=False)
    theirs = Written(pool_images, pool_labels, test_images, test_labels)
    assert_holds(load(name, tmp_path), theirs, SHARES[name])


def test_the_classes_of_fashion_mnist_are_torchvisions() -> None:
    from torchvision.datasets import FashionMNIST

    assert list(IMAGE_SETS["fmnist"].classes or ()) == FashionMNIST.classes


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("GEOZOO_DATA", ""), "usps")),
    reason="needs the real USPS: set GEOZOO_DATA to a folder with usps/",
)
def test_real_usps_has_the_published_splits() -> None:
    usps = load("usps", None)
    assert [len(split) for split in (usps.train, usps.validation, usps.test)] == [6000, 1291, 2007]
    labels = np.concatenate([usps.train.labels, usps.validation.labels])
    assert np.bincount(labels).tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert np.bincount(usps.test.labels).tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]


def test_tiny_imagenet_is_the_image_folder_of_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    written = write_tiny_imagenet(tmp_path)
    theirs = ImageFolder(tmp_path / "tiny-imagenet-200" / "train")
    images = np.stack([np.asarray(image).transpose(2, 0, 1) for image, _ in theirs])
    pool = Written(images, np.array(theirs.targets), written.test_images, written.test_labels)
    tiny = load("tiny_imagenet", tmp_path)
    assert_holds(tiny, pool, SHARES["tiny_imagenet"])
    assert list(tiny.classes) == theirs.classes


@pytest.mark.parametrize(
    ("name", "inside", "image", "label"),
    [
        ("cifar10", "plain_text", "img", "label"),
        ("cifar100", "cifar100", "img", "fine_label"),
        ("svhn", "cropped_digits", "image", "label"),
        ("mnist", "mnist", "image", "label"),
        ("tiny_imagenet", "data", "image", "label"),
    ],
)
def test_the_parquet_parts_of_the_hub_are_read(tmp_path: Path, name: str, inside: str, image: str, label: str) -> None:
    record = IMAGE_SETS[name]
    classes = record.num_classes or 0
    written = draw_set((record.channels or 0, record.size or 0, record.size or 0), classes, pool=max(60, classes))
    write_parquet_parts(tmp_path / inside, written, record.classes or WNIDS, image, label)
    assert_holds(load(name, tmp_path), written, ({"mnist": 10 / 60} | SHARES)[name])
    (tmp_path / inside / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(DataNotFoundError, match=r"test\*\.parquet"):
        load(name, tmp_path)


def test_the_archive_of_usps_is_cut_in_the_published_order(tmp_path: Path) -> None:
    written = write_usps_archive(tmp_path)
    assert (len(written.pool_labels), len(written.test_labels)) == (73, 20)
    usps = load("usps", tmp_path, size=28)
    assert [len(split) for split in (usps.train, usps.validation, usps.test)] == [60, 13, 20]
    assert usps.train.images.shape == (60, 1, 28, 28)


PUBLISHED_SIZES = {
    "mnist": (60_000, 50_000, 10_000),
    "fmnist": (60_000, 50_000, 10_000),
    "svhn": (73_257, 60_000, 13_257),
    "usps": (7_291, 6_000, 1_291),
    "cifar10": (50_000, 42_000, 8_000),
    "cifar100": (50_000, 40_000, 10_000),
    "stl10": (5_000, 4_200, 800),
}


@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_full_sets_split_into_the_published_sizes(name: str) -> None:
    from geozoo.datasets.split import split_rows

    pool, train, validation = PUBLISHED_SIZES[name]
    record = IMAGE_SETS[name]
    assert [len(rows) for rows in split_rows(pool, record.validation, record.test, 42)] == [train, validation, 0]
