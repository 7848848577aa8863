import base64
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from geozoo.report.card import describe_zoo, render_card
from geozoo.report.figures import _push_apart
from geozoo.report.summary import summarise
from geozoo.store import create_zoo, open_zoo
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

HOSTILE = "<script>alert('$x$ & \"y\"')</script>"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and a check that every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=40, cohorts=2, checkpoints=(0, 1, 3))[0]


@pytest.fixture(scope="module")
def html(zoo):
    return render_card(zoo)


def test_the_page_loads_nothing_and_runs_nothing(html):
    page = Page(html)
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert "url(" not in html
    assert "@import" not in html


def test_figures_are_images_with_alternative_text(html):
    images = Page(html).attributes("img")
    assert len(images) == 5
    for image in images:
        assert len(image["alt"]) > 40
        root = ET.fromstring(base64.b64decode(image["src"].partition(",")[2]))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_every_varying_hyperparameter_has_a_panel_and_a_probe(zoo, html):
    text = " ".join(Page(html).text)
    effects = next(image["alt"] for image in Page(html).attributes("img") if "init" in image["alt"])
    for name in ("init", "init_std", "lr", "weight_decay", "dropout"):
        assert name in effects
        assert re.search(rf"\b{name.replace('_', ' ')}\b", text)


def test_facts_of_the_zoo_are_on_the_page(zoo, html):
    text = " ".join(Page(html).text)
    for fact in (zoo.digest(), zoo.header.dataset["fingerprint"], f"geozoo.open_zoo({zoo.url!r})"):
        assert fact in text
    assert "This zoo is unfinished" not in text


def test_the_same_zoo_gives_the_same_page(zoo, html):
    assert render_card(zoo) == html


def test_without_probe_there_is_no_table(zoo):
    page = Page(render_card(zoo, with_probe=False))
    assert page.attributes("table") == []
    assert len(page.attributes("img")) == 3


def hostile_zoo(url, commit):
    header = make_header()
    recipe = {**header.recipe, "title": HOSTILE, "licence": HOSTILE, "network": {"name": HOSTILE}}
    header = header.model_copy(update={"name": HOSTILE, "recipe": recipe})
    plan = make_plan(members=6, cohorts=1)
    plan["init"] = [HOSTILE, "normal"] * 3
    zoo = create_zoo(url, header, plan)
    if commit:
        write_cohort(zoo, "0-000")
    return open_zoo(url)


@pytest.mark.parametrize("commit", [False, True])
def test_texts_are_escaped(tmp_path, commit):
    html = render_card(hostile_zoo(tmp_path / "zoo", commit))
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "".join(page.text).count(HOSTILE) >= 3


def test_an_empty_zoo_says_how_far_it_is(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(members=12, cohorts=3))
    html = render_card(zoo)
    text = " ".join(Page(html).text)
    assert "0 of 12 members are committed, 3 of 3 cohorts are missing" in text
    assert "no committed member with finite weights to probe" in text
    assert Page(html).attributes("img") == []


def test_an_unfinished_zoo_shows_what_there_is(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(members=12, cohorts=3))
    write_cohort(zoo, "0-002")
    html = render_card(open_zoo(tmp_path / "zoo"))
    assert "4 of 12 members are committed" in html
    assert len(Page(html).attributes("img")) == 4


def test_one_member_with_one_checkpoint(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=1, cohorts=1, checkpoints=(5,))
    html = render_card(zoo)
    assert "there is nothing to probe" in html
    assert len(Page(html).attributes("img")) == 2


def test_the_summary_is_three_sentences(zoo):
    sentences = describe_zoo(summarise(zoo))
    assert len(sentences) == 3
    assert "differ in init, init std, lr, weight decay, dropout, seed." in sentences[0]


def test_labels_are_pushed_apart_below_the_top():
    places = _push_apart([10.0, 10.5, 11.0, 99.0, 99.5], gap=5, top=100)
    assert all(high - low >= 5 for low, high in pairwise(places))
    assert places[-1] <= 100
    assert _push_apart([1.0, 50.0, 90.0], gap=5, top=100) == [1.0, 50.0, 90.0]
