"""Preparation agrees with torchvision's transforms of the same names, through every kind of reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from geozoo.datasets import DatasetOptions, ImageSet, load_image_set
from geozoo.datasets.prepare import Preparation, prepare
from geozoo.errors import RecipeError
from tests.support.image_sets import write_cifar10_python, write_svhn, write_tiny_imagenet
from tests.support.images import draw_images, encode_image, write_image_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def transformed(images: NDArray[np.uint8], how: Preparation) -> NDArray[np.uint8]:
    """What torchvision makes of images ``[n, 3, height, width]``."""
    from PIL import Image
    from torchvision import transforms

    steps: list[Any] = []
    if how.grayscale:
        steps.append(transforms.Grayscale())
    if how.crop:
        steps.append(transforms.CenterCrop(how.crop))
    if how.size:
        steps.append(transforms.Resize((how.size, how.size)))
    made = [np.array(transforms.Compose(steps)(Image.fromarray(image.transpose(1, 2, 0)))) for image in images]
    return np.stack([image[None] if image.ndim == 2 else image.transpose(2, 0, 1) for image in made])


WAYS = [
    Preparation(),
    Preparation(grayscale=True),
    Preparation(crop=28),
    Preparation(crop=27),
    Preparation(size=28),
    Preparation(grayscale=True, crop=28),
    Preparation(grayscale=True, crop=25, size=28),
    Preparation(grayscale=True, size=40),
]


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_steps_are_those_of_torchvision(how: Preparation) -> None:
    images = draw_images(6, (3, 32, 32))
    np.testing.assert_array_equal(prepare(images, how), transformed(images, how))


@pytest.mark.parametrize("how", [how for how in WAYS if how.size or how.crop], ids=str)
def test_images_that_are_not_square_are_cropped_and_squeezed_likewise(how: Preparation) -> None:
    images = draw_images(6, (3, 33, 40))
    np.testing.assert_array_equal(prepare(images, how), transformed(images, how))


def joined(images: ImageSet) -> NDArray[np.uint8]:
    rows = np.random.Generator(np.random.PCG64(42)).permutation(len(images.train) + len(images.validation))
    return np.concatenate([images.train.images, images.validation.images])[np.argsort(rows)]


def test_the_published_svhn_is_grey_and_cropped(tmp_path: Path) -> None:
    written = write_svhn(tmp_path)
    options = DatasetOptions(name="svhn", path=str(tmp_path), grayscale=True, crop=28)
    assert (options.size, options.channels) == (28, 1)
    svhn = load_image_set(options)
    assert (svhn.channels, svhn.size, svhn.mean, svhn.std) == (1, 28, (0.5,), (0.5,))
    expected = transformed(written.pool_images, Preparation(grayscale=True, crop=28))
    np.testing.assert_array_equal(joined(svhn), expected)


def test_encoded_images_are_prepared_alike(tmp_path: Path) -> None:
    written = write_tiny_imagenet(tmp_path)
    options = DatasetOptions(name="tiny_imagenet", path=str(tmp_path), grayscale=True, crop=56, size=32)
    expected = transformed(written.pool_images, Preparation(grayscale=True, crop=56, size=32))
    np.testing.assert_array_equal(joined(load_image_set(options)), expected)


def test_a_share_held_out_and_a_normalisation_can_be_given(tmp_path: Path) -> None:
    write_cifar10_python(tmp_path)
    plain = DatasetOptions(name="cifar10", path=str(tmp_path))
    chosen = plain.model_copy(update={"validation": 0.2, "mean": (0.1, 0.2, 0.3), "std": (0.4,)})
    assert [len(split) for split in (load_image_set(plain).train, load_image_set(plain).validation)] == [50, 10]
    images = load_image_set(chosen)
    assert [len(split) for split in (images.train, images.validation, images.test)] == [48, 12, 20]
    assert (images.mean, images.std) == ((0.1, 0.2, 0.3), (0.4, 0.4, 0.4))


def test_normalisation_must_fit_the_files_where_they_tell_the_channels(tmp_path: Path) -> None:
    encoded = [encode_image(image) for image in draw_images(40, (8, 8))]
    write_image_parquet(tmp_path / "a.parquet", encoded, [row % 2 for row in range(40)])
    options = DatasetOptions(name="image_parquet", path=str(tmp_path), mean=(0.1, 0.2, 0.3), std=(1.0,))
    with pytest.raises(RecipeError, match="normalisation has 3 values but images have 1 channels"):
        load_image_set(options)


def test_a_crop_beyond_the_images_is_refused(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    with pytest.raises(RecipeError, match=r"images of 32x32 pixels cannot be cropped to 33: lower dataset.crop"):
        load_image_set(DatasetOptions(name="svhn", path=str(tmp_path), crop=33))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "mnist", "grayscale": True}, "'mnist' is grey but grayscale is true: leave grayscale out"),
        ({"name": "svhn", "mean": [0.5]}, "mean is given without std: give both or neither"),
        ({"name": "svhn", "std": [0.5]}, "std is given without mean"),
        ({"name": "svhn", "mean": [0.5, 0.5], "std": [1]}, "mean has 2 values but images have 3 channels"),
        ({"name": "svhn", "grayscale": True, "mean": [0.5], "std": [1, 1, 1]}, "std has 3 values but .* 1 channels"),
        ({"name": "svhn", "mean": [0.5], "std": [0]}, "greater than 0"),
        ({"name": "svhn", "mean": [float("nan")], "std": [1]}, "finite number"),
        ({"name": "svhn", "validation": 1.0}, "less than 1"),
        ({"name": "svhn", "crop": 0}, "greater than or equal to 1"),
        ({"name": "tetris", "validation": 0.1}, "'tetris' brings its own validation split"),
        ({"name": "eurosat", "validation": 0.9}, "validation is 0.9 and 0.15 is for test: leave something to train on"),
    ],
)
def test_options_that_do_not_fit_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DatasetOptions.model_validate(values)


def test_options_survive_the_header_of_a_zoo() -> None:
    options = DatasetOptions(name="svhn", grayscale=True, crop=28, mean=(0.5,), std=(0.5,), validation=0.1)
    assert DatasetOptions.model_validate(options.model_dump(mode="json")) == options
    alone = {"name": "svhn", "grayscale": True, "crop": 28, "mean": 0.5, "std": 0.5, "validation": 0.1}
    assert DatasetOptions.model_validate(alone) == options
