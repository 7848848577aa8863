from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from geozoo.datasets import IMAGE_SETS, DatasetOptions, find_record
from geozoo.errors import RecipeError


@pytest.mark.parametrize(
    ("name", "size", "split_seed"),
    [("digits", 28, 42), ("mnist", 28, 42), ("eurosat", 64, 2020), ("image_parquet", None, 42)],
)
def test_defaults_of_the_set_are_filled_in(name: str, size: int | None, split_seed: int) -> None:
    path = "images" if name == "image_parquet" else None
    options = DatasetOptions.model_validate({"name": name, "path": path, "size": None})
    assert (options.size, options.split_seed) == (size, split_seed)
    assert DatasetOptions.model_validate(options.model_dump(mode="json")) == options


def test_given_values_win() -> None:
    options = DatasetOptions(name="eurosat", size=32, split_seed=7)
    assert (options.size, options.split_seed) == (32, 7)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"name": "cat"},
            "unknown image set 'cat': choose one of cifar10, cifar100, digits, eurosat, fmnist, image_parquet, mnist",
        ),
        ({"name": ["cat"]}, "valid string"),
        ({"name": "digits", "colour": 1}, "Extra inputs"),
        ({"name": "digits", "path": "x"}, "'digits' needs no files but path is 'x': leave path out"),
        ({"name": "image_parquet"}, "'image_parquet' has no path: name its file or folder in path"),
        ({"name": "digits", "size": 0}, "greater than or equal to 1"),
        ({"name": "digits", "split_seed": -1}, "greater than or equal to 0"),
        ({"name": "digits", "limits": {"train": 0}}, "greater than 0"),
        ({"name": "digits", "limits": {"trian": 5}}, "Extra inputs"),
    ],
)
def test_bad_options_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DatasetOptions.model_validate(values)


def test_find_record_lists_the_known_names() -> None:
    assert find_record("mnist") is IMAGE_SETS["mnist"]
    with pytest.raises(
        RecipeError, match="choose one of cifar10, cifar100, digits, eurosat, fmnist, image_parquet, mnist"
    ):
        find_record("minst")
