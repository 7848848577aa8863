import base64
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from geozoo.hyper.analysis.landscape import Analysis
from geozoo.hyper.analysis.similarity import Similarity
from geozoo.hyper.analysis.variance import SeedSplit
from geozoo.hyper.probing.targets import Target
from geozoo.report.landscape import render_landscape
from geozoo.report.landscape_maps import _colours
from geozoo.report.landscape_networks import draw_similarity
from geozoo.report.landscape_sections import (
    barriers_section,
    homogeneity_section,
    similarity_section,
    surfaces_section,
    variance_section,
)
from tests.report.test_card import HOSTILE, Page, hostile_zoo
from tests.support.population import simulated_images
from tests.support.zoos import make_zoo


@pytest.fixture(scope="module")
def landscape(tmp_path_factory):
    zoo, _ = make_zoo(tmp_path_factory.mktemp("zoo"), members=30, cohorts=2, checkpoints=(0, 1, 3))
    return Analysis(zoo, embed=lambda weights: weights[:, :5], images=simulated_images(train=30, test=30)).run()


@pytest.fixture(scope="module")
def page(landscape):
    return render_landscape(landscape)


def test_the_page_loads_nothing_and_runs_nothing(page):
    read = Page(page.html)
    links = [value for _, attributes in read.tags for name, value in attributes.items() if name in ("src", "href")]
    assert links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert "@import" not in page.html


def test_there_is_a_map_for_every_property_and_a_figure_for_every_analysis(landscape, page):
    pictures = [picture for section in page.sections for picture in section.pictures]
    assert len(Page(page.html).attributes("img")) == len(pictures) == len(landscape.sample.properties) + 7
    for picture in pictures:
        assert len(picture.text) > 40
        root = ET.fromstring(base64.b64decode(picture.source.partition(",")[2]))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_every_homogeneity_is_in_the_table(landscape, page):
    section = next(one for one in page.sections if one.heading == "Homogeneity of neighbours")
    ratios = [row[3] for row in section.table.rows]
    assert ratios == [f"{row.result.value:.2f}" for row in landscape.homogeneity]
    assert all(len(row) == len(section.table.columns) for row in section.table.rows)


@pytest.mark.parametrize("make", [homogeneity_section, surfaces_section])
def test_the_same_landscape_gives_the_same_section(landscape, page, make):
    assert make(landscape) in page.sections


@pytest.mark.parametrize("make", [similarity_section, surfaces_section, barriers_section])
def test_what_is_left_out_is_said(landscape, make):
    nothing = {"similarity": None, "surfaces": (), "barriers": ()}
    poorer = replace(landscape, **nothing, left_out={"images": "The images are nowhere."})
    section = make(poorer)
    assert section.missing == ("Left out: The images are nowhere.",)
    assert not section.pictures


def test_one_seed_a_cell_is_said_to_be_not_identifiable(landscape):
    assert "not identifiable" in " ".join(variance_section(landscape).notes)
    split = SeedSplit(total=4e-4, between=3e-4, within=1e-4, seed=2.25e-4, members=30, cells=10)
    several = replace(landscape, variance=replace(landscape.variance, split=split))
    notes = " ".join(variance_section(several).notes)
    assert "75% of the variance lies between the 10 cells" in notes
    assert "25% within" in notes
    assert "is 1.50 points" in notes


def test_texts_are_escaped(tmp_path):
    found = Analysis(hostile_zoo(tmp_path / "zoo", True)).run()
    page = Page(render_landscape(found).html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "".join(page.text).count(HOSTILE) >= 2
    assert "Left out: the images 'simulated' of the zoo cannot be loaded" in "".join(page.text)


def colours_of(target):
    colour, key = _colours(target)
    return colour(np.arange(len(target.values))), key


def test_few_numbers_and_categories_have_a_legend():
    drawn, key = colours_of(Target("init", "classification", np.array(["b", "a", "b"])))
    assert list(key) == ["a", "b"]
    assert drawn["c"] == [key["b"], key["a"], key["b"]]
    drawn, key = colours_of(Target("lr", "regression", np.array([0.1, 0.001, 0.1])))
    assert list(key) == ["0.001", "0.1"]
    assert np.array_equal(drawn["c"][1], key["0.001"])


def test_rare_categories_share_a_colour():
    values = np.array([f"{number:02d}" for number in range(12)] * 2 + ["00"])
    drawn, key = colours_of(Target("init", "classification", values))
    assert len(key) == 9
    assert drawn["c"][11] == key["others"]


def test_many_numbers_are_coloured_by_tenths():
    values = np.concatenate([np.zeros(50), np.linspace(0.9, 1, 50)])
    drawn, key = colours_of(Target("test_accuracy", "regression", values))
    assert key is None
    assert drawn["c"].max() == 100
    edges = drawn["norm"].boundaries
    shares = np.histogram(100 * values[50:], edges[1:])[0] / 100
    assert np.allclose(shares, 0.1, atol=0.02)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_similarity_is_drawn_for_any_number_of_layers(layers: int) -> None:
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    similarity = Similarity(("a", "b"), {f"layer {number}": matrix for number in range(layers)}, matrix, 10)
    figure = draw_similarity(similarity, pd.Series({"a": 1.0, "b": 0.0}), "accuracy")
    assert figure.count("<image") >= layers + 1
