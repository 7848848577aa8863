"""Recipes and plans: what a zoo holds, typed, validated and spelled out."""

from geozoo.recipe.load import load_recipe, parse_recipe
from geozoo.recipe.model import Recipe
from geozoo.recipe.plan import PLAN_COLUMNS, STRUCTURAL, Member, cohort_size, member_id, plan_members, plan_table
from geozoo.recipe.space import HYPERPARAMETERS, HyperParameters, hyperparameters_of

__all__ = [
    "HYPERPARAMETERS",
    "PLAN_COLUMNS",
    "STRUCTURAL",
    "HyperParameters",
    "Member",
    "Recipe",
    "cohort_size",
    "hyperparameters_of",
    "load_recipe",
    "member_id",
    "parse_recipe",
    "plan_members",
    "plan_table",
]
