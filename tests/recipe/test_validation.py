"""Every wrong field is refused in one sentence: the field, the offending value, what to do."""

from __future__ import annotations

from typing import Any

import pytest

from geozoo.errors import RecipeError
from geozoo.recipe import HYPERPARAMETERS, parse_recipe
from tests.support.recipes import GRID, make_recipe, recipe_tree, space_population


def refusal(tree: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree, "recipe 'small.yaml'")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith("recipe 'small.yaml' is not valid: ")
    assert sentence.endswith(".")
    assert len(sentence) < 400
    return sentence


def grid(**axes: Any) -> dict[str, Any]:
    return recipe_tree(axes)


def training(**fields: Any) -> dict[str, Any]:
    return recipe_tree(training={"epochs": 5} | fields)


def space(axes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return recipe_tree(population=space_population(axes, **more))


LR = {"kind": "log_uniform", "low": 1e-4, "high": 1e-2}

REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    # unknown keys at any depth
    (recipe_tree(colour="red"), ["colour is not a known field", "population, training"]),
    (training(epoch=3), ["training.epoch is not a known field", "epochs, checkpoints, precision"]),
    (grid(lrr=1), ["population.grid.lrr is not a known field", "batch_size"]),
    (recipe_tree(dataset={"name": "digits", "limit": 3}), ["dataset.limit is not a known field", "limits"]),
    (recipe_tree(dataset={"name": "digits", "limits": {"trian": 3}}), ["dataset.limits.trian", "train, validation"]),
    (space({"lr": LR | {"mid": 1}}), ["population.space.axes.lr.mid is not a known field", "check its spelling"]),
    # missing fields
    ({"name": "small"}, ["training is missing", "give it a value"]),
    (training() | {"network": {}}, ["network.name is missing"]),
    (recipe_tree(population={"grid": {"lr": 1}}), ["population.grid.activation is missing"]),
    (space({"lr": {"kind": "uniform", "low": 1}}), ["population.space.axes.lr.high is missing"]),
    (space({"lr": {"low": 1, "high": 2}}), ["population.space.axes.lr.kind is missing", "log_uniform"]),
    # wrong types
    (training(epochs="x"), ["training.epochs: input should be a valid integer", "(got 'x')"]),
    (training(epochs=1.5), ["training.epochs", "(got 1.5)"]),
    (training(epochs="3"), ["training.epochs", "(got '3')"]),
    (training(epochs=True), ["training.epochs", "(got True)"]),
    (training(epochs=None), ["training.epochs", "(got None)"]),
    (training(epochs=0), ["training.epochs: input should be greater than or equal to 1 (got 0)"]),
    (
        training(precision="float16"),
        ["training.precision", "'float32', 'float64', 'tf32' or 'bfloat16'", "(got 'float16')"],
    ),
    (recipe_tree(dataset="digits"), ["dataset should have fields of its own (got 'digits')", "key: value"]),
    (recipe_tree(training=[1]), ["training should have fields of its own (got [1])"]),
    (recipe_tree(name="My Zoo"), ["name", "pattern", "(got 'My Zoo')"]),
    (recipe_tree(name=None), ["name", "(got None)"]),
    (recipe_tree(store={"dtype": "int8"}), ["store.dtype", "'float32' or 'float16'", "(got 'int8')"]),
    (recipe_tree(evaluation={"train": 0}), ["evaluation.train", "(got 0)"]),
    (recipe_tree(title="x" * 500, name="!" * 500), ["name", "...)"]),
    # names
    (recipe_tree(dataset={"name": "imagenet"}), ["dataset.name", "'imagenet'", "digits", "mnist"]),
    (recipe_tree(dataset={"name": "digits", "path": "/x"}), ["dataset", "'/x'", "leave path out"]),
    (recipe_tree(network={"name": "vgg"}), ["network.name", "'vgg'", "choose one of", "cnn_s"]),
    (grid(activation=["tanh", "swoosh"]), ["population.grid.activation.1", "'swoosh'", "choose one of", "tanh"]),
    (grid(init="xavier"), ["population.grid.init: ", "'xavier'", "choose one of", "xavier_normal"]),
    (grid(optimizer="lion"), ["population.grid.optimizer: ", "'lion'", "choose one of", "sgd"]),
    # values of a grid
    (grid(lr=[]), ["population.grid.lr lists nothing", "give at least 1"]),
    (grid(lr=[1e-3, 1e-4, 1e-3]), ["population.grid.lr", "lists 0.001 twice", "keep it once"]),
    (grid(weight_decay=[0, 0.0]), ["population.grid.weight_decay", "twice"]),
    (grid(lr=0), ["population.grid.lr: input should be greater than 0 (got 0)"]),
    (grid(lr=float("inf")), ["population.grid.lr", "finite", "(got inf)"]),
    (grid(lr="fast"), ["population.grid.lr", "valid number", "(got 'fast')"]),
    (grid(lr={"low": 1}), ["population.grid.lr", "valid number", "(got {'low': 1})"]),
    (grid(dropout=[0, 1]), ["population.grid.dropout.1", "less than 1 (got 1)"]),
    (grid(dropout=True), ["population.grid.dropout", "(got True)"]),
    (grid(momentum=-0.1), ["population.grid.momentum", "(got -0.1)"]),
    (grid(batch_size=[16, 0.5]), ["population.grid.batch_size.1", "valid integer", "(got 0.5)"]),
    (grid(init_std=-1), ["population.grid.init_std", "(got -1)"]),
    # checkpoints
    (training(checkpoints=[0, 6]), ["training.checkpoints: [0, 6]", "at most the 5 epochs"]),
    (training(checkpoints=[-1, 2]), ["training.checkpoints: [-1, 2]", "at least 0"]),
    (training(checkpoints=[3, 1]), ["training.checkpoints: [3, 1] must rise"]),
    (training(checkpoints=[1, 1]), ["training.checkpoints: [1, 1] must rise"]),
    (training(checkpoints=[]), ["training.checkpoints: []"]),
    (training(checkpoints="some"), ["training.checkpoints", "every, last, best", "(got 'some')"]),
    (training(checkpoints=[0, 1.5]), ["training.checkpoints", "whole epochs", "(got [0, 1.5])"]),
    (training(checkpoints=4), ["training.checkpoints", "or a list of whole epochs", "(got 4)"]),
    (training(checkpoints={"first": 1}), ["training.checkpoints", "such as {every: 5, first: 0}"]),
    (training(checkpoints={"every": 0}), ["training.checkpoints: every", "at least 1 (got 0)"]),
    (training(checkpoints={"every": 2.0}), ["training.checkpoints: every", "whole number", "(got 2.0)"]),
    (training(checkpoints={"every": 2, "first": -1}), ["training.checkpoints: first", "at least 0 (got -1)"]),
    (training(checkpoints={"every": 2, "first": 6}), ["training.checkpoints: first 6 is after the 5 epochs"]),
    (training(checkpoints={"every": 2, "last": 6}), ["training.checkpoints", "such as {every: 5, first: 0}"]),
    # which members
    (recipe_tree(population={}), ["population: has neither of grid and space", "give exactly one"]),
    (recipe_tree(population={"grid": GRID} | space_population({"lr": LR})), ["population: has both of grid and space"]),
    (recipe_tree(population=space_population({"lr": LR}) | {"members": None}), ["members is missing", "sampled"]),
    (recipe_tree(population={"grid": GRID, "members": 0}), ["population.members", "(got 0)"]),
    (recipe_tree(population={"grid": GRID, "seeds": {"kind": "some"}}), ["population.seeds.kind", "(got 'some')"]),
    (recipe_tree(population={"grid": GRID, "seeds": {"count": 0}}), ["population.seeds.count", "(got 0)"]),
    (recipe_tree(population={"grid": GRID, "seeds": {"first": -1}}), ["population.seeds.first", "(got -1)"]),
    (
        recipe_tree(population={"grid": GRID, "seeds": {"kind": "random", "count": 1001}}),
        ["population.seeds: count 1001", "1000", "lower it"],
    ),
    (
        recipe_tree(population={"grid": GRID, "seeds": {"first": 2**32 - 1, "count": 2}}),
        ["population.seeds", str(2**32), "lower first or count"],
    ),
    # sampled spaces
    (space({}), ["population.space.axes lists nothing"]),
    (space({"lr": LR | {"low": 0}}), ["population.space.axes.lr.low: 0 has no logarithm", "above 0"]),
    (space({"lr": LR | {"low": -1}}), ["population.space.axes.lr.low: -1 has no logarithm"]),
    (space({"lr": LR | {"high": 1e-4}}), ["population.space.axes.lr.high: 0.0001 is not above low 0.0001"]),
    (space({"lr": LR | {"high": "x"}}), ["population.space.axes.lr.high", "(got 'x')"]),
    (space({"lr": LR | {"kind": "normal"}}), ["population.space.axes.lr.kind is 'normal'", "'choice', 'uniform'"]),
    (space({"lr": 3}), ["population.space.axes.lr should have fields of its own (got 3)"]),
    (space({"lr": {"kind": "choice", "values": []}}), ["population.space.axes.lr.values lists nothing"]),
    (space({"lr": {"kind": "choice", "values": [1e-3, -1]}}), ["population.space: lr: ", "greater than 0 (got -1)"]),
    (space({"lr": {"kind": "choice", "values": [1e-3, "x"]}}), ["population.space: lr: ", "(got 'x')"]),
    (space({"lr": {"kind": "choice", "values": [[1]]}}), ["axes.lr.values.0", "word or a number (got [1])"]),
    (space({"lr": {"kind": "choice", "values": [True]}}), ["axes.lr.values.0", "(got True)"]),
    (
        space({"init": {"kind": "choice", "values": ["magic"]}}),
        ["population.space: init: ", "'magic'", "choose one of"],
    ),
    (space({"init": LR}), ["population.space: init: ", "valid string", "(got 0.0001)"]),
    (space({"dropout": {"kind": "uniform", "low": 0, "high": 1.5}}), ["dropout: ", "less than 1 (got 1.5)"]),
    (space({"batch_size": {"kind": "uniform", "low": 1, "high": 9}}), ["axes.batch_size is uniform", "kind choice"]),
    (space({"learning_rate": LR}), ["population.space: names 'learning_rate'", "no hyper-parameter", "lr"]),
    (space({"lr": LR}, fixed={"lr": 1e-3}), ["population.space: lr is in axes and in fixed", "keep one"]),
    (space({"lr": LR}, fixed={"activation": "tanh"}), ["population.space: init is neither in axes nor in fixed"]),
    (space({"lr": LR}, method="grid"), ["population.space.method", "'random' or 'sobol'", "(got 'grid')"]),
    # provenance
    (recipe_tree(provenance={"default": "mine"}), ["provenance.default", "'published', 'inferred'", "(got 'mine')"]),
    (recipe_tree(provenance={"fields": {"training.epoch": "ours"}}), ["'training.epoch'", "no field of the recipe"]),
    (recipe_tree(provenance={"fields": {"training": "x"}}), ["provenance.fields.training", "(got 'x')"]),
]


@pytest.mark.parametrize(("tree", "parts"), REFUSED, ids=[parts[0] for _, parts in REFUSED])
def test_refused(tree: dict[str, Any], parts: list[str]) -> None:
    sentence = refusal(tree)
    assert all(part in sentence for part in parts), sentence


def test_many_errors_do_not_fill_a_page() -> None:
    names = [f"field{number}" for number in range(30)]
    sentence = refusal(grid(lr=[-1.0 * number for number in range(1, 20)]))
    assert sentence.endswith("and 15 more.")
    with pytest.raises(RecipeError, match="and 26 more"):
        parse_recipe(recipe_tree(training={"epochs": 1} | dict.fromkeys(names, 1)))


def test_one_value_stands_for_a_list_of_one() -> None:
    assert make_recipe({"lr": 1e-3}) == make_recipe({"lr": [1e-3]})


@pytest.mark.parametrize(
    ("checkpoints", "epochs"),
    [
        ("every", (0, 1, 2, 3, 4, 5)),
        ("last", (5,)),
        ("best", (5,)),
        ([0], (0,)),
        ([5], (5,)),
        ([0, 2, 5], (0, 2, 5)),
        ({"every": 1}, (0, 1, 2, 3, 4, 5)),
        ({"every": 1, "first": 1}, (1, 2, 3, 4, 5)),
        ({"every": 2}, (0, 2, 4, 5)),
        ({"every": 2, "first": 1}, (1, 3, 5)),
        ({"every": 9}, (0, 5)),
        ({"every": 3, "first": 5}, (5,)),
    ],
)
def test_checkpoints_within_the_epochs(checkpoints: Any, epochs: tuple[int, ...]) -> None:
    recipe = parse_recipe(training(checkpoints=checkpoints))
    assert recipe.training.checkpoint_epochs == epochs
    assert recipe.training.evaluated_epochs == ((1, 2, 3, 4, 5) if checkpoints == "best" else epochs)
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe


def test_the_hyper_parameters_are_those_of_the_plan_table() -> None:
    documented = "activation init init_std optimizer lr weight_decay momentum dropout batch_size"
    assert documented.split() == list(HYPERPARAMETERS)


def test_provenance_is_that_of_the_nearest_named_ancestor() -> None:
    fields = {"training": "inferred", "population.grid": "published", "population.grid.lr": "ours"}
    recipe = make_recipe(provenance={"default": "ours", "fields": fields})
    assert recipe.provenance_of("training.epochs") == "inferred"
    assert recipe.provenance_of("training") == "inferred"
    assert recipe.provenance_of("population.grid.init") == "published"
    assert recipe.provenance_of("population.grid.lr") == "ours"
    assert recipe.provenance_of("population.seeds.count") == "ours"
    assert make_recipe(provenance={"default": "published"}).provenance_of("name") == "published"


def test_recipes_do_not_change() -> None:
    recipe = make_recipe()
    with pytest.raises(ValueError, match="frozen"):
        recipe.training.epochs = 3
