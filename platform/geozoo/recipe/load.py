"""From YAML and ``key=value`` overrides to a validated recipe or experiment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from geozoo.errors import RecipeError
from geozoo.recipe.describe import describe_errors, shorten
from geozoo.recipe.model import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Document = TypeVar("Document", bound=BaseModel)

NOTES = ("name", "title", "provenance")


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe file and apply overrides such as ``training.epochs=2``; see `load_document`.

    A field that an override changes is ours from then on, whatever the file says of it.
    """
    source = f"recipe {str(path)!r}"
    tree = _read_tree(path, source, "zoos/digits_cnn.yaml")
    changed = []
    for override in overrides:
        before, tree = tree, apply_override(tree, override)
        if tree != before:
            changed.append(override.partition("=")[0].strip())
    return parse_document(_with_origin(tree, changed), Recipe, source)


def _with_origin(tree: dict[str, Any], changed: list[str]) -> dict[str, Any]:
    """``tree`` with the provenance of changed fields set to ours; notes and where images lie have none."""
    ours = {key: "ours" for key in changed if key.split(".")[0] not in NOTES and key != "dataset.path"}
    origin = tree.get("provenance", {})
    if not ours or not isinstance(origin, dict) or not isinstance(origin.get("fields", {}), dict):
        return tree
    kept = {
        key: value for key, value in origin.get("fields", {}).items() if not any(key.startswith(f"{o}.") for o in ours)
    }
    return {**tree, "provenance": {**origin, "fields": kept | ours}}


def parse_recipe(tree: Mapping[str, Any], source: str = "the recipe") -> Recipe:
    """Validate a recipe given as plain values; `RecipeError` names the wrong fields in one sentence."""
    return parse_document(tree, Recipe, source)


def load_document(
    path: str | Path, overrides: Iterable[str], model: type[Document], what: str, example: str
) -> Document:
    """Read a YAML file, apply ``key=value`` overrides, and validate it as ``model``.

    An override is validated like the file: its value is read as YAML (``population.grid.lr=[1e-3, 1e-2]``), its key
    must be a field.

    Args:
        path: the file.
        overrides: applied in order.
        model: what the file describes.
        what: what such a file is called in messages.
        example: path of one, for messages.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a field is unknown, missing or wrong.
    """
    source = f"{what} {str(path)!r}"
    tree = _read_tree(path, source, example)
    for override in overrides:
        tree = apply_override(tree, override)
    return parse_document(tree, model, source)


def read_kind(path: str | Path) -> Any:
    """What an experiment file gives as its ``kind``, whatever that is.

    Raises:
        RecipeError: the file is missing or no YAML mapping.
    """
    return _read_tree(path, f"experiment {str(path)!r}", "experiments/hyper/digits_small.yaml").get("kind")


def _read_tree(path: str | Path, source: str, example: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"there is no {source}: give the path of a YAML file such as {example}.") from None
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise RecipeError(f"{source} cannot be read ({cause}): give the path of a YAML text file.") from error
    tree = _parse(text, source)
    if not isinstance(tree, dict):
        holds = "is empty" if tree is None else f"holds {shorten(tree)} and no fields"
        folder = Path(example).parent
        raise RecipeError(f"{source} {holds}: write key: value lines, as the files in {folder}/ do.")
    return tree


def parse_document(tree: Mapping[str, Any], model: type[Document], source: str) -> Document:
    """Validate plain values as ``model``; `RecipeError` names the wrong fields in one sentence."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{source} is not valid: {describe_errors(error, model, tree)}.") from None


def apply_override(tree: dict[str, Any], override: str) -> dict[str, Any]:
    """Return ``tree`` with one ``dotted.key=value`` put in; sections on the way are made where missing."""
    key, separator, text = override.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise RecipeError(f"override {override!r} is not key=value: write for example training.epochs=2.")
    value = _parse(text, f"the value of override {override!r}")
    return _replaced(tree, names, value, override)


def _replaced(tree: Any, names: list[str], value: Any, override: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise RecipeError(
            f"override {override!r} reaches into {shorten(tree)}, which has no fields: name a field of the file."
        )
    head, *rest = names
    return {**tree, head: _replaced(tree.get(head, {}), rest, value, override) if rest else value}


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice and reads 1e-3 as a number, as everybody writing it means."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = []
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.append(key)
        return super().construct_mapping(node, deep)


_EXPONENT_WITHOUT_DOT = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT_WITHOUT_DOT, list("-+0123456789"))


def _parse(text: str, what: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise RecipeError(f"{what} is not valid YAML{where}: {problem}.") from None
