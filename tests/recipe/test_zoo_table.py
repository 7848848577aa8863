"""The page of all recipes says what the recipes and the benchmarks say."""

from __future__ import annotations

import pytest

from geozoo.recipe import load_recipe
from tests.benchmarks import engines
from tests.support.recipes import make_recipe
from zoos import hours, table


def test_the_page_is_that_of_the_recipes() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    assert text == table.page(text), "run python -m zoos.table"


def test_every_recipe_is_in_one_table() -> None:
    paths = sorted(table.FOLDER.glob("*.yaml"))
    placed = [path for group in table.sections(paths).values() for path in group]
    assert sorted(placed) == paths


def test_evaluated_images_are_those_of_the_benchmark() -> None:
    for network, options, _ in engines.CASES:
        sizes = hours.split_sizes(make_recipe(dataset=options, network={"name": network}))
        if options["name"] == "eurosat":
            sizes |= {"validation": 500, "test": 1_500}  # of the 10,000 images it was measured with
        evaluated = 2 * sum(min(count, engines.EVALUATED) for count in sizes.values())
        assert hours.EVALUATED_PER_TRAINED[network] == pytest.approx(evaluated / sizes["train"])


def test_products_of_the_small_cnn() -> None:
    convolutions = 24**2 * 8 * 25 + 8**2 * 6 * 8 * 25 + 3**2 * 4 * 6 * 4
    assert hours.products("cnn_s", 1, 28, 10) == convolutions + 36 * 20 + 20 * 10
    colour = hours.products("cnn_s", 3, 28, 10) - hours.products("cnn_s", 1, 28, 10)
    assert colour == 2 * 24**2 * 8 * 25


def test_hours_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {("cnn_s", 10): {"lanes": hours.Rate(2e-6, 1e-6)}, ("cnn_s", 128): {"lanes": hours.Rate(9.0, 9.0)}}
    monkeypatch.setattr(hours, "rates", lambda: measured)
    recipe = load_recipe(table.FOLDER / "mnist_cnn_seed.yaml")
    seconds = 1000 * (50 * 50_000 * 2e-6 + 51 * 70_000 * 1e-6)
    assert hours.hours(recipe, 1000, "lanes") == pytest.approx(seconds / 3600)
    assert hours.hours(recipe, 1000, "torch") is None
    limited = load_recipe(table.FOLDER / "mnist_cnn_1k.yaml")
    seconds = 1000 * (25 * 10_000 * 2e-6 + 26 * 15_000 * 1e-6)
    assert hours.hours(limited, 1000, "lanes") == pytest.approx(seconds / 3600)


def test_rates_are_read_from_the_results() -> None:
    row = next(
        row for row in hours._rows("engines") if row["network, images"] == "cnn_s, mnist" and row["batch"] == "10"
    )
    rate = hours.rates()["cnn_s", 10]["lanes"]
    assert f"{1 / rate.training:,.0f}" == row["lanes, samples/s"]
    share = rate.evaluating * 3000 / (rate.evaluating * 3000 + rate.training * 3000)
    assert f"{100 * share:.0f} %" == row["evaluating: loop, lanes"].split(", ")[1]
