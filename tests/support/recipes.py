"""A small valid recipe as plain values, to change one field of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.recipe import parse_recipe

if TYPE_CHECKING:
    from geozoo.recipe import Recipe

GRID = {
    "activation": ["tanh", "relu"],
    "init": ["uniform", "normal"],
    "optimizer": "adam",
    "lr": [1e-3, 1e-4],
}


def recipe_tree(grid: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """The recipe with other sections, or with other axes in its grid."""
    return {
        "name": "small",
        "dataset": {"name": "digits"},
        "network": {"name": "cnn_s"},
        "population": {"grid": GRID | (grid or {})},
        "training": {"epochs": 5},
    } | sections


def make_recipe(grid: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    """`recipe_tree`, validated."""
    return parse_recipe(recipe_tree(grid, **sections))


def space_population(axes: dict[str, Any], members: int = 8, **more: Any) -> dict[str, Any]:
    """A sampled population: what ``axes`` does not draw is fixed."""
    fixed = {"activation": "tanh", "init": "normal", "optimizer": "adam", "lr": 1e-3}
    seeds = more.pop("seeds", {})
    chosen = {name: value for name, value in fixed.items() if name not in axes}
    return {"space": {"axes": axes, "fixed": chosen} | more, "members": members, "seeds": seeds}
