"""What the page draws: whole counts, points beside their own category, an edge where a table goes on; names apart."""

import io
from collections import Counter
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from geozoo.report.browser import open_shelf
from tests.report.browser.serving import serving
from tests.support.chromium import open_page, wait_until
from tests.support.zoos import make_zoo


@pytest.fixture(scope="module")
def zoos(tmp_path_factory):
    """Two zoos of one name, of 4 and of 9 members."""
    folder = tmp_path_factory.mktemp("zoos")
    return [make_zoo(folder / f"of {count}", members=count, cohorts=1, seed=count)[0] for count in (4, 9)]


@pytest.fixture(scope="module")
def address(zoos):
    with serving([open_shelf(zoo.url) for zoo in zoos]) as server:
        yield server.url


@pytest.fixture
def context(chromium):
    made = chromium.new_context(viewport={"width": 420, "height": 900}, color_scheme="light")
    made.set_default_timeout(20_000)
    yield made
    made.close()


def pixels(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


def test_zoos_of_one_name_are_told_apart_in_the_list_and_in_links(context, zoos, address):
    page = open_page(context, address)
    labels = page.get_by_label("Zoo").locator("option").all_inner_texts()
    assert labels == [f"simulated ({zoo.url})" for zoo in zoos]
    page.get_by_label("Zoo").select_option(label=labels[1])
    wait_until(page, "document.getElementById('count').textContent.includes('of 9 members')")
    wait_until(page, f"location.hash === '#{urlencode({'zoo': labels[1]})}'")
    linked = open_page(context, page.url)
    assert linked.locator("#count").inner_text() == "all of 9 members selected"


def test_names_in_a_list_by_hand_are_told_apart(context, zoos, address):
    def listed(route):
        route.fulfill(json={"zoos": [{"name": "same", "path": f"zoos/{number}"} for number in (0, 1)]})

    context.route("**/zoos.json", listed)
    page = open_page(context, f"{address}#{urlencode({'zoo': 'same (zoos/1)'})}")
    assert page.get_by_label("Zoo").locator("option").all_inner_texts() == ["same (zoos/0)", "same (zoos/1)"]
    assert page.locator("#count").inner_text() == "all of 9 members selected"


def test_counts_of_members_are_whole(context, address):
    page = open_page(context, address)
    ticks = page.locator('#distribution [aria-label="y-axis tick label"] text').all_text_contents()
    assert len(ticks) > 1
    assert all(tick.isdecimal() for tick in ticks)


def test_points_stay_within_a_tenth_of_a_band_from_their_category(context, zoos, address):
    page = open_page(context, address)
    page.locator("#scatter select").nth(0).select_option("init")
    page.locator("#scatter select").nth(2).select_option("")
    assert "init (jittered)" in page.locator("#scatter svg").first.text_content()
    page.locator("#scatter .axes").evaluate("(axes) => { axes.style.visibility = 'hidden'; }")
    canvas = page.locator("#scatter canvas")
    painted = pixels(canvas)
    columns = np.flatnonzero((painted[4:-4, 4:-4] != 255).any(axis=(0, 2))) + 4
    bands = len(Counter(zoos[0].members["init"]))
    from_middle = np.abs((columns + 0.5) / painted.shape[1] * bands % 1 - 0.5)
    radius = 4.5 / painted.shape[1] * bands
    assert len(columns)
    assert from_middle.max() <= 0.1 + radius


def test_a_table_that_goes_on_has_an_edge_until_its_end(context, address):
    page = open_page(context, address)
    table = page.get_by_role("region", name="Members")
    table.scroll_into_view_if_needed()

    def shade(side):
        strip = pixels(table)[:, -3:] if side == "right" else pixels(table)[:, :3]
        return 255 - np.median(strip)

    assert table.evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert shade("right") > 25
    assert shade("left") == 0
    table.evaluate("(one) => one.scrollTo(one.scrollWidth, 0)")
    assert shade("right") == 0
