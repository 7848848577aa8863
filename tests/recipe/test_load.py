from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geozoo.errors import RecipeError
from geozoo.recipe import load_recipe, parse_recipe
from tests.support.recipes import recipe_tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TEXT = """\
name: small
dataset: {name: digits}
network: {name: cnn_s}
population:
  grid: {activation: tanh, init: uniform, optimizer: adam, lr: [1e-3, 2.5E-4, 1.0e-2]}
training:
  epochs: 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def refusal(path: Path, overrides: Iterable[str] = ()) -> str:
    """The sentence with which ``load_recipe`` refuses."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_file_is_read_with_its_defaults(file: Path) -> None:
    recipe = load_recipe(file)
    assert recipe.name == "small"
    assert recipe.dataset.size == 28
    assert recipe.training.checkpoint_epochs == (0, 1, 2, 3)
    assert recipe.population.grid is not None
    assert recipe.population.grid.dropout == (0.0,)


def test_exponents_without_a_dot_are_numbers(file: Path) -> None:
    grid = load_recipe(file).population.grid
    assert grid is not None
    assert grid.lr == (0.001, 0.00025, 0.01)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("-2E3", -2000.0), ("1.e+2", 100.0), ("12", 12), ("1e", "1e"), ("e3", "e3")]
)
def test_override_values_are_read_as_yaml(file: Path, text: str, value: object) -> None:
    if isinstance(value, float) and value > 0:
        grid = load_recipe(file, [f"population.grid.lr={text}"]).population.grid
        assert grid is not None
        assert grid.lr == (value,)
    else:
        assert f"(got {value!r})" in refusal(file, [f"store.dtype={text}"])


def test_several_overrides_apply_in_order(file: Path) -> None:
    overrides = ["training.epochs=7", "training.epochs=9", "evaluation.train=50", "population.grid.lr=[1e-2, 1e-1]"]
    recipe = load_recipe(file, overrides)
    assert recipe.training.epochs == 9
    assert recipe.evaluation.train == 50
    assert recipe.population.grid is not None
    assert recipe.population.grid.lr == (0.01, 0.1)


def test_an_equals_sign_may_be_in_the_value(file: Path) -> None:
    assert load_recipe(file, ["title=lr = 3"]).title == "lr = 3"


def test_an_override_does_not_change_the_tree_it_is_given() -> None:
    from geozoo.recipe.load import apply_override

    tree = recipe_tree()
    changed = apply_override(tree, "training.epochs=9")
    assert tree == recipe_tree()
    assert changed["training"] == {"epochs": 9}


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.epochs", ["'training.epochs' is not key=value", "training.epochs=2"]),
        ("=3", ["'=3' is not key=value"]),
        ("training..epochs=3", ["'training..epochs=3' is not key=value"]),
        ("training.epochs.x=1", ["'training.epochs.x=1'", "reaches into 3", "name a field"]),
        ("name.x=1", ["reaches into 'small'"]),
        ("training.epoch=1", ["training.epoch is not a known field", "epochs, checkpoints, precision"]),
        ("trainig.epochs=1", ["trainig is not a known field", "training"]),
        ("training.epochs=[1", ["'training.epochs=[1'", "not valid YAML"]),
    ],
)
def test_overrides_are_refused(file: Path, override: str, parts: list[str]) -> None:
    sentence = refusal(file, [override])
    assert all(part in sentence for part in parts), sentence


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty", "key: value"]),
        ("- one\n- two\n", ["holds ['one', 'two']", "key: value"]),
        ("word", ["holds 'word'"]),
        ("name: [1, 2", ["not valid YAML at line 1"]),
        ("name: a\ntitle: b: c\n", ["not valid YAML at line 2"]),
        ("name: a\ntitle: t\nname: b\n", ["line 3", "key 'name' is given twice"]),
        ("training:\n  epochs: 1\n  epochs: 2\n", ["line 3", "key 'epochs' is given twice"]),
        ("name: !!python/name:os.system x", ["not valid YAML at line 1"]),
        ("name: small\n", ["dataset is missing", "training is missing", "give it a value"]),
    ],
)
def test_files_are_refused(file: Path, text: str, parts: list[str]) -> None:
    file.write_text(text)
    sentence = refusal(file)
    assert all(part in sentence for part in [str(file), *parts]), sentence


def test_a_yaml_merge_is_no_repetition(file: Path) -> None:
    file.write_text(f"{TEXT}evaluation: &sizes {{train: 5}}\nstore: {{<<: *sizes, test: 6}}\n")
    sentence = refusal(file)
    assert "store.train is not a known field" in sentence
    assert "store.test is not a known field" in sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    sentence = refusal(tmp_path / "nowhere.yaml")
    assert "nowhere.yaml" in sentence
    assert "give the path of a YAML file" in sentence


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    sentence = refusal(tmp_path)
    assert str(tmp_path) in sentence
    assert "directory" in sentence.lower()


def test_binary_files_are_no_recipes(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00\x01")
    assert "cannot be read" in refusal(file)


def test_a_recipe_survives_its_own_dump() -> None:
    recipe = parse_recipe(recipe_tree())
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe
