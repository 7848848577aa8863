"""Write the tables of README.md from the recipes: ``python -m zoos.table``.

Members and states are counted from the plans, bytes are those of the weights, core-hours are the estimates of
`zoos.hours`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.datasets import find_record
from geozoo.nets import build_network, derive_layout, num_parameters
from geozoo.recipe import HYPERPARAMETERS, Recipe, load_recipe, plan_members
from geozoo.report.words import describe_bytes
from zoos.hours import hours, measured_hours, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parent
PAGE = FOLDER / "README.md"
BEGIN, END = "<!-- written by python -m zoos.table -->\n", "<!-- end of what it writes -->\n"
ENGINES = ("lanes", "torch", "loop")

WORKING = ("digits_cnn", "mnist_cnn_1k", "eurosat_cnn_1k", "mnist_unterthiner_1k", "mnist_cnn_seed_250")


@dataclass(frozen=True)
class Section:
    """A table: recipes whose source names ``source``, what is to say of them, and one for the command."""

    heading: str
    source: str
    said: str
    example: str


SECTIONS = (
    Section("Model Zoos, 2022", "arXiv 2209.14764", "The 27 published zoos.", "mnist_cnn_hyp_10_fix"),
    Section(
        "Self-supervised learning on weights, 2021",
        "arXiv 2110.15288",
        "Published as states, not how they were made: counts are inferred, grids and settings ours, no reproductions.",
        "mnist_cnn_hyp_5_rand",
    ),
    Section(
        "Small CNN Zoo, 2020",
        "arXiv 2002.11448",
        "Structure as published, the ranges that hyper-parameters are drawn from ours: no reproductions.",
        "cifar10_unterthiner",
    ),
    Section("Later zoos", "", "`eurosat_cnn_l` as published, the other two ours.", "eurosat_cnn_l"),
)
"""A recipe is in the first section whose source its own names; the last one takes what is left."""

LAPTOP = Section("Working zoos", "", "Ours, small enough for a laptop.", "mnist_cnn_1k")


@cache
def planned(path: Path) -> tuple[Recipe, int]:
    """A recipe and how many members its plan has."""
    recipe = load_recipe(path)
    return recipe, len(plan_members(recipe))


def states(recipe: Recipe, members: int) -> int:
    """Members times stored epochs."""
    return members * len(recipe.training.checkpoint_epochs)


@cache
def numbers(network: str, channels: int, size: int, classes: int, activation: str) -> int:
    """Floating-point numbers of one state: parameters and running statistics."""
    module = build_network(network, channels=channels, size=size, classes=classes, activation=activation)
    return num_parameters(derive_layout(module))


def what_varies(recipe: Recipe) -> str:
    """The hyper-parameters that differ, and seeds where there are several."""
    population = recipe.population
    names = [name for name in HYPERPARAMETERS if len(set(population.values_of(name))) > 1]
    several = population.seeds.count > 1 or population.seeds.kind == "random"
    return ", ".join([*(name.replace("_", " ") for name in names), *(["seed"] if several else [])])


def images_of(recipe: Recipe) -> str:
    """The image set, prepared."""
    options, record = recipe.dataset, find_record(recipe.dataset.name)
    parts = [options.name]
    if options.size != record.size:
        parts.append(f"{options.size} px")
    if options.grayscale:
        parts.append("grey")
    if options.limits.train:
        parts.append(f"{options.limits.train:,} to train")
    return ", ".join(parts)


def line(path: Path) -> list[str]:
    """One row of a table."""
    recipe, members = planned(path)
    count = states(recipe, members)
    activation = recipe.population.values_of("activation")[0]
    length = numbers(recipe.network.name, *shape_of(recipe), activation)
    width = 2 if recipe.store.dtype == "float16" else 4
    return [
        f"[{recipe.name}]({path.name})",
        images_of(recipe),
        f"{recipe.network.name}, {length:,}",
        what_varies(recipe),
        f"{members:,}",
        f"{count:,}",
        describe_bytes(count * length * width),
        *(_describe_hours(hours(recipe, members, engine)) for engine in ENGINES),
        recipe.provenance.describe(),
    ]


def _describe_hours(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


COLUMNS = (
    *("recipe", "images", "network, numbers", "varies", "members", "states", "weights"),
    *("h, lanes", "h, torch", "h, loop", "provenance"),
)


def sections(paths: Iterable[Path]) -> dict[Section, list[Path]]:
    """Recipes by section, every one once."""
    grouped: dict[Section, list[Path]] = {section: [] for section in (*SECTIONS, LAPTOP)}
    for path in paths:
        source = planned(path)[0].provenance.source or ""
        section = next(section for section in SECTIONS if section.source in source)
        grouped[LAPTOP if path.stem in WORKING else section].append(path)
    return grouped


def tables() -> str:
    """All tables, each with its sums and the command for one of its recipes."""
    parts = []
    for section, paths in sections(sorted(FOLDER.glob("*.yaml"))).items():
        members = sum(planned(path)[1] for path in paths)
        count = sum(states(*planned(path)) for path in paths)
        rows = [COLUMNS, ["---"] * len(COLUMNS), *map(line, paths)]
        name = section.example
        parts += [
            f"### {section.heading}",
            f"{section.said} Together {members:,} members and {count:,} states.",
            f"```\ngeozoo populate zoos/{name}.yaml --to {name.replace('_', '-')}\n```",
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
        ]
    return "\n\n".join([*parts, compared()]) + "\n"


def compared() -> str:
    """The estimate beside what populating took, where that was measured."""
    lines = []
    for name, members, measured in measured_hours():
        estimate = hours(planned(FOLDER / f"{name}.yaml")[0], members, "lanes")
        lines.append(
            f"{members:,} members of `{name}` {_describe_hours(measured)} (estimated {_describe_hours(estimate)})"
        )
    return f"Measured core-hours in lanes, wall time of the whole command times cores: {'; '.join(lines)}."


def page(text: str) -> str:
    """README.md with the tables between its marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
