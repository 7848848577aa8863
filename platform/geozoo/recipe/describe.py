"""Sentences for what is wrong in a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    Path = Sequence[str | int]

_SHOWN = 4
_LONGEST_VALUE = 60


def describe_errors(error: ValidationError, model: type[BaseModel], tree: Mapping[str, Any]) -> str:
    """One clause for each of the first errors in ``tree``: the dotted field, what is wrong, the value, what to do."""
    details = error.errors()
    clauses = [_describe(detail, model, tree) for detail in details[:_SHOWN]]
    if len(details) > _SHOWN:
        clauses.append(f"and {len(details) - _SHOWN} more")
    return "; ".join(clauses)


def _describe(error: ErrorDetails, model: type[BaseModel], tree: Mapping[str, Any]) -> str:
    field, value, context = ".".join(map(str, _path(error["loc"], tree))), shorten(error["input"]), error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            known = ", ".join(_fields_at(model, error["loc"][:-1]))
            return f"{field} is not a known field: " + (f"choose one of {known}" if known else "check its spelling")
        case "missing":
            return f"{field} is missing: give it a value"
        case "union_tag_not_found":
            return f"{field}.kind is missing: choose one of choice, uniform, log_uniform"
        case "union_tag_invalid":
            return f"{field}.kind is {context['tag']!r}: choose one of {context['expected_tags']}"
        case "too_short":
            return f"{field} lists nothing: give at least {context['min_length']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{field} should have fields of its own (got {value}): write key: value lines below it"
        case "value_error":
            return f"{field}: {context['error']}".removeprefix(": ").rstrip(".")
    return f"{field}: {error['msg'][:1].lower()}{error['msg'][1:]} (got {value})"


def shorten(value: object) -> str:
    """The ``repr`` of a value, cut where it would fill a page."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _path(location: Path, tree: Any) -> list[str | int]:
    """``location`` without what is not in the YAML: the kind of an axis, and 0 for a value that stands for a list."""
    path: list[str | int] = []
    for part in location:
        inside = isinstance(tree, dict) and part in tree
        if isinstance(tree, list) and isinstance(part, int):
            inside = part < len(tree)
        if inside:
            tree = tree[part]
        if inside or (part == location[-1] and isinstance(part, str)):
            path.append(part)
    return path


def _fields_at(model: type[BaseModel], location: Path) -> list[str]:
    """The fields of the section at ``location``, as far as models tell."""
    for part in location:
        annotation = model.model_fields[str(part)].annotation if part in model.model_fields else None
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        sections = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return list(model.model_fields)
