"""The recipes of zoos/ are the published zoos, as their tables give them, and say so only where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geozoo.recipe import Recipe, load_recipe, plan_members
from zoos.hours import split_sizes
from zoos.table import planned, states

ZOOS = Path(__file__).parents[2] / "zoos"
PATHS = sorted(ZOOS.glob("*.yaml"))

CNNS = (
    "mnist_cnn",
    "fmnist_cnn",
    "svhn_cnn",
    "usps_cnn",
    "cifar10_cnn_s",
    "cifar10_cnn_l",
    "stl10_cnn_s",
    "stl10_cnn_l",
)
RESNETS = ("cifar10_resnet18_seed", "cifar100_resnet18_seed", "tiny_imagenet_resnet18_seed")
PUBLISHED_27 = [*(f"{cnn}_{kind}" for cnn in CNNS for kind in ("seed", "hyp_10_fix", "hyp_10_rand")), *RESNETS]


def recipe_of(name: str) -> Recipe:
    return planned(ZOOS / f"{name}.yaml")[0]


def members_of(name: str) -> int:
    return planned(ZOOS / f"{name}.yaml")[1]


def test_the_27_zoos_of_2022_close() -> None:
    """Sums as their README and abstract state them."""
    assert len(set(PUBLISHED_27)) == 27
    members = {name: members_of(name) for name in PUBLISHED_27}
    assert sum(members[name] for name in RESNETS) == 3_000
    assert sum(members.values()) - 3_000 == 47_360
    assert sum(members.values()) == 50_360
    assert sum(states(recipe_of(name), count) for name, count in members.items()) == 2_585_360


def test_they_are_the_recipes_that_name_that_source() -> None:
    named = {path.stem for path in PATHS if "arXiv 2209.14764" in (planned(path)[0].provenance.source or "")}
    assert named - set(PUBLISHED_27) == {"mnist_cnn_seed_250"}
    assert set(PUBLISHED_27) <= named


@pytest.mark.parametrize("name", PUBLISHED_27)
def test_what_makes_the_members_is_published(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.provenance.default == "published"
    for field in ("dataset.name", "network", "population", "training"):
        assert recipe.provenance_of(field) == "published"
        assert all(recipe.provenance_of(noted) == "published" for noted in recipe.provenance.fields if field in noted)


ACTIVATIONS, INITS = ("tanh", "relu", "sigmoid", "gelu"), ("uniform", "normal", "kaiming_uniform", "kaiming_normal")
BOTH, TWO = ("adam", "sgd"), (1e-3, 1e-4)
SEED = {  # activation, initialiser, learning rate, weight decay
    "mnist_cnn": ("tanh", "uniform", 3e-4, 0),
    "fmnist_cnn": ("tanh", "uniform", 3e-4, 0),
    "svhn_cnn": ("tanh", "uniform", 3e-3, 0),
    "usps_cnn": ("tanh", "uniform", 3e-4, 1e-3),
    "cifar10_cnn_s": ("gelu", "kaiming_uniform", 1e-4, 1e-2),
    "cifar10_cnn_l": ("gelu", "kaiming_uniform", 1e-4, 1e-2),
    "stl10_cnn_s": ("tanh", "kaiming_uniform", 1e-4, 1e-3),
    "stl10_cnn_l": ("tanh", "kaiming_uniform", 1e-4, 1e-3),
}
HYP: dict[str, tuple[Any, Any, Any, Any]] = {  # optimiser, learning rate, weight decay, dropout
    "mnist_cnn": (BOTH, TWO, (1e-3, 1e-4), (0, 0.5)),
    "fmnist_cnn": (BOTH, TWO, (1e-3, 1e-4), (0, 0.5)),
    "svhn_cnn": (("sgd",), (1e-2, 1e-3, 1e-4), (0, 1e-3, 1e-1), (0, 0.3, 0.5)),
    "usps_cnn": (BOTH, TWO, (1e-2, 1e-3), (0, 0.5)),
    "cifar10_cnn_s": (BOTH, (1e-3,), (1e-2, 1e-3), (0, 0.5)),
    "cifar10_cnn_l": (BOTH, (1e-3,), (1e-2, 1e-3), (0, 0.5)),
    "stl10_cnn_s": (BOTH, TWO, (1e-2, 1e-3), (0, 0.5)),
    "stl10_cnn_l": (BOTH, TWO, (1e-2, 1e-3), (0, 0.5)),
}


def values(recipe: Recipe, *names: str) -> tuple[Any, ...]:
    return tuple(recipe.population.values_of(name) for name in names)


@pytest.mark.parametrize("cnn", CNNS)
def test_cnn_zoos_have_the_published_hyper_parameters(cnn: str) -> None:
    activation, init, lr, weight_decay = SEED[cnn]
    seed = recipe_of(f"{cnn}_seed")
    axes = ("activation", "init", "optimizer", "lr", "weight_decay", "dropout", "batch_size", "momentum")
    cell = (activation, init, "adam", lr, weight_decay, 0, 10, 0.9)
    assert values(seed, *axes) == tuple((value,) for value in cell)
    assert seed.population.seeds.model_dump() == {"kind": "fixed", "first": 1, "count": 1000}
    for kind in ("fixed", "random"):
        hyp = recipe_of(f"{cnn}_hyp_10_{kind[:3].replace('ran', 'rand')}")
        assert values(hyp, *axes) == (ACTIVATIONS, INITS, *HYP[cnn], (10,), (0.9,))
        assert hyp.population.seeds.model_dump() == {"kind": kind, "first": 1, "count": 10}
        assert hyp.dataset == seed.dataset
    for recipe in (seed, hyp):
        assert (recipe.training.checkpoint_epochs, recipe.training.schedule) == (tuple(range(51)), "constant")
        assert (recipe.network.name, recipe.training.augmentation) == (
            "cnn_l" if cnn.endswith("_l") else "cnn_s",
            "none",
        )


@pytest.mark.parametrize(
    ("name", "lr", "batch", "epochs", "augmentation"),
    [
        ("cifar10_resnet18_seed", 0.05, 256, 50, "crop_flip"),
        ("cifar100_resnet18_seed", 0.1, 128, 60, "crop_flip"),
        ("tiny_imagenet_resnet18_seed", 0.1, 128, 60, "flip_rotate"),
    ],
)
def test_resnet_zoos_have_the_published_hyper_parameters(
    name: str, lr: float, batch: int, epochs: int, augmentation: str
) -> None:
    recipe = recipe_of(name)
    axes = ("activation", "init", "optimizer", "lr", "weight_decay", "dropout", "batch_size", "momentum")
    cell = ("relu", "kaiming_uniform", "sgd", lr, 5e-4, 0, batch, 0.9)
    assert values(recipe, *axes) == tuple((value,) for value in cell)
    assert recipe.training.checkpoint_epochs == tuple(range(1, epochs + 1))
    assert (recipe.training.schedule, recipe.training.augmentation) == ("onecycle", augmentation)


@pytest.mark.parametrize(
    ("name", "channels", "size", "train", "validation"),
    [
        ("mnist_cnn_seed", 1, 28, 50_000, 10_000),
        ("fmnist_cnn_seed", 1, 28, 50_000, 10_000),
        ("svhn_cnn_seed", 1, 28, 60_000, 13_257),
        ("usps_cnn_seed", 1, 28, 6_000, 1_291),
        ("cifar10_cnn_s_seed", 3, 28, 42_000, 8_000),
        ("cifar10_cnn_l_seed", 3, 32, 42_000, 8_000),
        ("stl10_cnn_s_seed", 3, 28, 4_200, 800),
        ("stl10_cnn_l_seed", 3, 32, 4_200, 800),
        ("cifar10_resnet18_seed", 3, 32, 40_000, 10_000),
        ("cifar100_resnet18_seed", 3, 32, 40_000, 10_000),
        ("eurosat_cnn_l", 3, 32, 21_600, 1_350),
    ],
)
def test_images_are_prepared_and_split_as_published(
    name: str, channels: int, size: int, train: int, validation: int
) -> None:
    recipe = recipe_of(name)
    assert (recipe.dataset.channels, recipe.dataset.size) == (channels, size)
    sizes = split_sizes(recipe)
    assert (sizes["train"], sizes["validation"]) == (train, validation)


@pytest.mark.parametrize(
    ("name", "count", "stored"),
    [
        ("mnist_cnn_seed_2021", 1000, 50_000),
        ("fmnist_cnn_seed_2021", 1000, 50_000),
        ("mnist_cnn_hyp_1_fix", 1152, 57_600),
        ("mnist_cnn_hyp_1_rand", 1152, 57_600),
        ("mnist_cnn_hyp_5_fix", 1280, 64_000),
        ("mnist_cnn_hyp_5_rand", 1280, 64_000),
        *((f"{images}_unterthiner", 30_000, 270_000) for images in ("mnist", "fmnist", "cifar10", "svhn")),
        ("eurosat_cnn_l", 1200, 61_200),
    ],
)
def test_other_zoos_have_their_counts(name: str, count: int, stored: int) -> None:
    assert (members_of(name), states(recipe_of(name), members_of(name))) == (count, stored)


def test_small_cnn_zoos_share_one_seed_and_scale_to_minus_one_and_one() -> None:
    for images in ("mnist", "fmnist", "cifar10", "svhn"):
        recipe = recipe_of(f"{images}_unterthiner")
        assert {member.seed for member in plan_members(recipe, 100)} == {42}
        assert (recipe.dataset.mean, recipe.dataset.std, recipe.dataset.channels) == ((0.5,), (0.5,), 1)
        assert recipe.training.checkpoint_epochs == (0, 1, 2, 3, 20, 40, 60, 80, 86)
        assert recipe.population.space is not None
        assert all(
            recipe.provenance_of(f"population.space.axes.{axis}") == "ours" for axis in recipe.population.space.axes
        )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_source_that_is_not_followed_in_all_is_not_claimed(path: Path) -> None:
    """A title says inferred or ours where members or training are; nothing is called a reproduction."""
    recipe = planned(path)[0]
    assert "reproduc" not in path.read_text(encoding="utf-8").lower()
    assert f"({members_of(path.stem):,} members, " in recipe.title or recipe.name == "digits_cnn"
    noted = {recipe.provenance_of(field) for field in ("network", "population", "training")}
    noted |= {provenance for name, provenance in recipe.provenance.fields.items() if not name.startswith("evaluation")}
    if recipe.provenance.source and recipe.name not in PUBLISHED_27 and noted != {"published"}:
        assert any(word in recipe.title for word in ("inferred", "ours")), recipe.title


def test_a_seed_of_a_fixed_zoo_is_in_every_cell_and_one_of_a_random_zoo_is_not() -> None:
    fixed = {member.seed for member in plan_members(recipe_of("usps_cnn_hyp_10_fix"))}
    drawn = [member.seed for member in plan_members(recipe_of("usps_cnn_hyp_10_rand"))]
    assert fixed == set(range(1, 11))
    assert max(drawn) < 1_000_000
    assert len(set(drawn)) > 2_500


def test_what_an_override_changes_is_ours() -> None:
    path = ZOOS / "mnist_cnn_seed.yaml"
    assert load_recipe(path).provenance.describe() == "published"
    assert (
        load_recipe(path, ["training.epochs=50", "title=mine", "dataset.path=x"]).provenance.describe() == "published"
    )
    changed = load_recipe(path, ["training.epochs=2", "population.members=32"])
    assert changed.provenance.describe() == "published; ours: training.epochs, population.members"
    assert plan_members(changed)[0].id != plan_members(load_recipe(path))[0].id
    sections = load_recipe(ZOOS / "svhn_cnn_hyp_10_fix.yaml", ["dataset={name: digits}"])
    assert sections.provenance.describe() == "published; ours: dataset"
    resnet = load_recipe(ZOOS / "cifar10_resnet18_seed.yaml", ["dataset.mean=[0.4]"])
    assert resnet.provenance_of("dataset.mean") == "ours"
