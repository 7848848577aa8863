"""A zoo as ``geozoo publish`` writes it, with the page among its files."""

import numpy as np
import pytest
from safetensors.torch import load_file

from geozoo.report.browser import browser_pages, open_shelf
from geozoo.report.browser.shelves import PublishedShelf
from geozoo.store import open_zoo
from tests.report.browser.serving import serving
from tests.support.chromium import open_page
from tests.support.pages import static_host
from tests.support.published import publish_simulated
from tests.support.zoos import make_zoo


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=20, cohorts=2, checkpoints=(0, 1, 2), shuffle=True)[0]


@pytest.fixture(scope="module", params=[True, False], ids=["with the page", "without"])
def published(request, zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "1.0.0"
    pages = (lambda zoo, address: browser_pages(zoo)) if request.param else None
    publish_simulated(zoo, folder, pages=pages)
    return folder


def test_its_members_can_be_saved(chromium, published, zoo, tmp_path):
    shelf = open_shelf(str(published))
    assert isinstance(shelf, PublishedShelf)
    with serving([shelf]) as server:
        save_and_compare(chromium, server.url, zoo, tmp_path)
    if (published / "index.html").is_file():
        with static_host(published) as (url, _):
            save_and_compare(chromium, url, zoo, tmp_path)


def save_and_compare(chromium, url, zoo, tmp_path):
    context = chromium.new_context(accept_downloads=True)
    page = open_page(context, url)
    member = zoo.members["member"][13]
    page.locator("#members button", has_text="Show more").click()
    page.locator("#members .link", has_text=member).click()
    page.wait_for_selector(".tensors[data-epoch]")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save weights").click()
    waiting.value.save_as(tmp_path / "member.safetensors")
    for name, tensor in load_file(tmp_path / "member.safetensors").items():
        assert (tensor == zoo.state_dict(member, 2)[name]).all()
    context.close()


def test_objects_are_handed_out_by_ranges(tmp_path):
    url = f"memory://{tmp_path.name}-browsed"
    zoo, made = make_zoo(url, members=6, cohorts=1)
    shelf = PublishedShelf(zoo, zoo.location.list(), None)
    whole = zoo.location.read("zoo.json")
    file = shelf.find("zoo.json")
    assert (file.size, file.read(5, 20)) == (len(whole), whole[5:20])
    assert shelf.find("nothing") is None
    assert shelf.find("browser/embeddings.parquet") is None
    table = shelf.find("browser/members.parquet")
    assert table.read(0, 4) == b"PAR1"
    np.testing.assert_array_equal(open_zoo(url).weights[:], made.weights)
