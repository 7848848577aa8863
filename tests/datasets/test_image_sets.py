"""What holds for every image set: splits, limits, fingerprint, normalisation, laziness."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from geozoo.datasets import (
    IMAGE_SETS,
    DatasetOptions,
    ImageSet,
    ImageSplit,
    SplitLimits,
    fingerprint,
    load_image_set,
    normalise,
)
from geozoo.datasets.registry import index_records
from geozoo.datasets.split import split_rows
from geozoo.errors import RecipeError
from tests.support.images import draw_images

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_image_set(DatasetOptions(name="digits", size=8))


def draw_split(count: int, seed: int) -> ImageSplit:
    labels = np.random.default_rng(seed).integers(0, 3, count)
    return ImageSplit(draw_images(count, (3, 4, 4), seed), labels)


def test_split_rows_are_disjoint_and_complete() -> None:
    parts = split_rows(1001, 0.05, 0.15, seed=2020)
    assert [len(part) for part in parts] == [801, 50, 150]
    assert sorted(np.concatenate(parts)) == list(range(1001))
    np.testing.assert_array_equal(np.concatenate(parts), np.random.Generator(np.random.PCG64(2020)).permutation(1001))


def test_split_depends_on_the_seed() -> None:
    assert not np.array_equal(split_rows(100, 0.1, 0.1, seed=1)[0], split_rows(100, 0.1, 0.1, seed=2)[0])


def test_limits_keep_the_first_images_of_each_split(digits: ImageSet) -> None:
    limits = SplitLimits(train=50, validation=None, test=7)
    limited = load_image_set(DatasetOptions(name="digits", size=8, limits=limits))
    assert [len(getattr(limited, name)) for name in SPLITS] == [50, 270, 7]
    for name in SPLITS:
        kept, full = getattr(limited, name), getattr(digits, name)
        np.testing.assert_array_equal(kept.images, full.images[: len(kept)])
        np.testing.assert_array_equal(kept.labels, full.labels[: len(kept)])
    assert limited.fingerprint != digits.fingerprint


def test_a_limit_beyond_the_split_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"^limits.validation is 271 but the validation split has 270 images: [^\n]*$"
    ):
        load_image_set(DatasetOptions(name="digits", size=8, limits=SplitLimits(validation=271)))


def test_arrays_are_typed_contiguous_and_read_only(digits: ImageSet) -> None:
    for split in (digits.train, digits.validation, digits.test):
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
        assert split.images.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            split.images[0, 0, 0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            split.labels[0] = 1


def test_describe_is_json(digits: ImageSet) -> None:
    described = json.loads(json.dumps(digits.describe()))
    assert described == digits.describe()
    assert described["splits"] == {"train": 1257, "validation": 270, "test": 270}
    assert (described["channels"], described["size"], len(described["classes"])) == (1, 8, digits.num_classes)


def test_fingerprint_is_stable_and_sees_every_part() -> None:
    splits = [draw_split(5, seed) for seed in range(3)]
    classes, mean, std = ("a", "b", "c"), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    reference = fingerprint(splits, classes, mean, std)
    assert reference == fingerprint([draw_split(5, seed) for seed in range(3)], list(classes), list(mean), list(std))

    pixels, labels = splits[2].images.copy(), splits[2].labels.copy()
    pixels[4, 2, 3, 3] ^= 1
    labels[4] += 1
    others = [
        fingerprint([*splits[:2], ImageSplit(pixels, splits[2].labels)], classes, mean, std),
        fingerprint([*splits[:2], ImageSplit(splits[2].images, labels)], classes, mean, std),
        fingerprint([splits[1], splits[0], splits[2]], classes, mean, std),
        fingerprint(
            [*splits[:2], ImageSplit(splits[2].images.reshape(5, 3, 2, 8), splits[2].labels)], classes, mean, std
        ),
        fingerprint(splits, ("a", "b", "d"), mean, std),
        fingerprint(splits, classes, (0.1, 0.2, 0.31), std),
        fingerprint(splits, classes, mean, (0.4, 0.5, 0.61)),
    ]
    assert len({reference, *others}) == 1 + len(others)
    assert reference.startswith("sha256:")
    assert len(reference) == len("sha256:") + 64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalise_agrees_with_torchvision(dtype: str) -> None:
    import torch
    from torchvision.transforms import functional

    images = draw_images(6, (3, 5, 5))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scaled = torch.from_numpy(images).to(getattr(torch, dtype)) / 255
    expected = functional.normalize(scaled, list(mean), list(std))
    actual = normalise(images, mean, std, dtype)
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-6 if dtype == "float32" else 1e-14, atol=1e-7)


def test_two_records_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two image sets are called 'mnist'"):
        index_records(*IMAGE_SETS.values(), IMAGE_SETS["mnist"])


def test_importing_the_package_is_light() -> None:
    heavy = ["sklearn", "pandas", "PIL", "pyarrow", "torch", "scipy", "ray"]
    code = f"import sys, geozoo.datasets; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout.strip() == "[]"
