"""The page in a headless Chromium, checked against what is in the zoo."""

import csv
import io
import shutil
import urllib.parse

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from geozoo.report.browser import open_shelf
from geozoo.report.browser.tables import encode_embeddings, encode_members
from geozoo.store import create_zoo
from tests.report.browser.serving import serving
from tests.support.chromium import open_page, wait_until
from tests.support.pages import simulate_large, static_host, write_files, write_list, write_published
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

EPOCHS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=60, cohorts=3, checkpoints=EPOCHS, shuffle=True)[0]


@pytest.fixture(scope="module")
def published(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    write_published(folder, zoo)
    return folder


@pytest.fixture(scope="module")
def address(published):
    with static_host(published) as (url, _):
        yield url


@pytest.fixture
def context(chromium):
    made = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def page(context, address):
    return open_page(context, address)


@pytest.fixture(scope="module", params=["store", "published", "published and indexed", "host without ranges"])
def way(request, zoo, published, tmp_path_factory):
    """The same zoo in every way that the page can meet it."""
    if request.param == "store":
        with serving([open_shelf(zoo.url)]) as server:
            yield server.url
        return
    folder = published
    if request.param == "published and indexed":
        folder = tmp_path_factory.mktemp("indexed")
        write_published(folder, zoo, page_index=True)
    with static_host(folder, ranges=request.param != "host without ranges") as (url, _):
        yield url


def count(page):
    return page.locator("#count").inner_text()


def look_at(page, member):
    """Look at a member through the address, as a link to it does."""
    page.goto(f"{page.url.partition('#')[0]}#member={member}")
    page.wait_for_selector(".tensors[data-epoch]")


def marked(page, member):
    """Wait until the training curves mark a member."""
    wait_until(page, f"document.querySelector('#curves .note').textContent.includes('{member}')")


def curve(plot, label):
    """A drawn line of a plot in the units of its vertical axis, by two of the axis's own ticks."""
    return plot.evaluate(
        """(svg, label) => {
            const all = (selector) => [...svg.querySelectorAll(selector)];
            const labels = all('[aria-label="y-axis tick label"] text').map((text) => Number(text.textContent));
            const [low, high] = [labels[0], labels.at(-1)];
            const marks = all('[aria-label="line"]');
            const path = marks.at(label).querySelector('path').getAttribute('d');
            const heights = path.split(/[ML]/).filter(Boolean).map((pair) => Number(pair.split(',')[1]));
            const heightOf = (tick) => tick.transform.baseVal.consolidate().matrix.f;
            const ticks = all('[aria-label="y-axis tick"] path').map(heightOf);
            return heights.map((y) => low + ((y - ticks[0]) / (ticks.at(-1) - ticks[0])) * (high - low));
        }""",
        label,
    )


def test_a_filter_selects_members(page, zoo):
    members = zoo.members
    assert count(page) == "all of 60 members selected"
    page.locator('[data-column="init"] label', has_text="kaiming_uniform").locator("input").uncheck()
    kept = members[members["init"] != "kaiming_uniform"]
    assert count(page) == f"{len(kept)} of 60 members selected"
    page.locator('[data-column="dropout"] label', has_text="0.3").locator("input").uncheck()
    kept = kept[kept["dropout"] != 0.3]
    assert count(page) == f"{len(kept)} of 60 members selected"
    shown = page.locator('[data-column="dropout"] label', has_text="0.5").locator(".count").inner_text()
    assert int(shown) == (kept["dropout"] == 0.5).sum()
    page.get_by_role("button", name="Clear filters").click()
    assert count(page) == "all of 60 members selected"


def test_a_range_is_chosen_with_the_keyboard(page, zoo):
    slider = page.get_by_label("lr, highest")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    wait_until(page, "location.hash.includes('f.lr')")
    text = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).fragment)["f.lr"][0]
    highest = float(text.partition("..")[2])
    assert highest < zoo.members["lr"].max()
    kept = int((zoo.members["lr"] <= highest).sum())
    assert count(page) == f"{kept} of 60 members selected"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert count(page) == f"{kept} of 60 members selected"


def test_a_metric_filters_too(page, zoo):
    page.get_by_label("test accuracy, lowest").evaluate("(slider) => { slider.value = 500; slider.oninput(); }")
    final = zoo.read_metrics(epochs=EPOCHS[-1])["test_accuracy"]
    kept = int((final >= (final.min() + final.max()) / 2).sum())
    assert count(page) == f"{kept} of 60 members selected"


def test_a_curve_of_another_metric(page, zoo):
    member = zoo.members["member"][7]
    look_at(page, member)
    page.locator("#curves select").select_option("train_loss")
    marked(page, member)
    wait_until(page, "document.querySelector('#curves svg').getAttribute('aria-label').startsWith('train loss')")
    marked(page, member)
    drawn = curve(page.locator("#curves svg"), -1)
    wanted = zoo.read_metrics(members=member)["train_loss"]
    np.testing.assert_allclose(drawn, wanted, atol=2e-3 * np.ptp(wanted))


def test_the_median_curve_is_that_of_the_sample(page, zoo):
    wait_until(page, "document.querySelector('#curves .note').textContent.startsWith('48 of the 60')")
    sample = [int((index + 0.5) * 60 / 48) for index in range(48)]
    curves = zoo.read_metrics(members=sample)["test_accuracy"].to_numpy().reshape(48, len(EPOCHS))
    wanted = np.sort(curves, axis=0)[24]
    drawn = curve(page.locator("#curves svg"), 1)
    np.testing.assert_allclose(drawn, wanted, atol=2e-3)


def test_filter_curve_and_download_on_every_way_to_a_zoo(context, way, zoo, tmp_path):
    page = open_page(context, way)
    page.locator('[data-column="init"] label', has_text="kaiming_uniform").locator("input").uncheck()
    kept = zoo.members[zoo.members["init"] != "kaiming_uniform"]
    assert count(page) == f"{len(kept)} of 60 members selected"
    member = page.locator("#members .link").first.inner_text()
    page.locator("#members .link").first.click()
    marked(page, member)
    wanted = zoo.read_metrics(members=member)["test_accuracy"]
    np.testing.assert_allclose(curve(page.locator("#curves svg"), -1), wanted, atol=2e-3)
    for epoch in (EPOCHS[-1], EPOCHS[2]):
        page.locator("#epoch").evaluate(f"(slider) => {{ slider.value = {EPOCHS.index(epoch)}; slider.oninput(); }}")
        page.wait_for_selector(f'.tensors[data-epoch="{epoch}"]')
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save weights").click()
        assert waiting.value.suggested_filename == f"{member}-epoch-{epoch}.safetensors"
        waiting.value.save_as(tmp_path / "member.safetensors")
        saved, state = load_file(tmp_path / "member.safetensors"), zoo.state_dict(member, epoch)
        assert set(saved) == set(state)
        for name, tensor in state.items():
            assert saved[name].shape == tensor.shape
            assert (saved[name] == tensor).all()


def test_the_selection_is_saved_as_csv(page, zoo, tmp_path):
    page.locator('[data-column="init"] label', has_text="uniform").first.locator("input").uncheck()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save selection as CSV").click()
    waiting.value.save_as(tmp_path / "selection.csv")
    with (tmp_path / "selection.csv").open(encoding="utf-8") as file:
        rows = {row["member"]: row for row in csv.DictReader(file)}
    kept = zoo.members[zoo.members["init"] != "kaiming_uniform"].set_index("member")
    final = zoo.read_metrics(epochs=EPOCHS[-1]).set_index("member")
    assert set(rows) == set(kept.index)
    for member, row in rows.items():
        assert float(row["lr"]) == kept.loc[member, "lr"]
        assert float(row["final_test_accuracy"]) == final.loc[member, "test_accuracy"]


def test_kernels_are_drawn_in_blue_and_red(page, zoo):
    member = zoo.members["member"][3]
    look_at(page, member)
    slot = next(slot for slot in zoo.layout if slot.name == "module_list.9.weight")
    pixels = page.get_by_label(f"Values of {slot.name}").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    red, _, blue, alpha = np.asarray(pixels).reshape(*slot.shape, 4).transpose(2, 0, 1).astype(int)
    wanted = zoo.state_dict(member, EPOCHS[-1])[slot.name].numpy()
    large = np.abs(wanted) > 0.2 * np.abs(wanted).max()
    assert (alpha == 255).all()
    np.testing.assert_array_equal((red > blue)[large], (wanted > 0)[large])


def test_no_request_leaves_the_origin_and_nothing_fails(context, address, zoo):
    page = context.new_page()
    asked, told = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.locator("#members .link").first.click()
    page.wait_for_selector(".tensors[data-epoch]")
    page.wait_for_timeout(300)
    assert len(asked) > 5
    assert {url for url in asked if not url.startswith((address, "data:"))} == set()
    assert [text for text in told if "GL Driver Message (OpenGL, Performance" not in text] == []
    assert not page.locator("#failure").is_visible()


def test_other_origins_are_blocked(page):
    refused = page.evaluate("fetch('http://localhost:9/').then(() => '', (error) => String(error))")
    assert "TypeError" in refused
    blocked = page.evaluate(
        """new Promise((resolve) => {
            document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
            const image = new Image(); image.src = 'http://localhost:9/pixel.png'; document.body.append(image);
        })"""
    )
    assert blocked == "img-src"


def test_everything_has_a_name(page):
    nameless = page.evaluate(
        """[...document.querySelectorAll('input, select, button')]
            .filter((one) => one.offsetParent && !one.labels?.length)
            .filter((one) => !one.getAttribute('aria-label') && !one.textContent.trim())
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_a_click_on_a_point_looks_at_its_member(page, zoo):
    wait_until(page, "document.querySelector('#curves .note').textContent.length > 0")
    members = zoo.members
    lr = np.log(members["lr"].to_numpy())
    final = zoo.read_metrics(epochs=EPOCHS[-1])["test_accuracy"].to_numpy()
    row = int(np.argmax(final))
    canvas = page.locator("#scatter canvas")
    box = canvas.bounding_box()
    across = 8 + (lr[row] - lr.min()) / np.ptp(lr) * (box["width"] - 16)
    canvas.click(position={"x": across, "y": 8})
    page.wait_for_selector("#member:not([hidden])")
    assert page.locator("#member h2").inner_text() == f"Member {members['member'][row]}"


def test_little_of_a_large_zoo_is_read(context, tmp_path):
    simulate_large(tmp_path, 4_000, 50)
    with static_host(tmp_path) as (url, asked):
        page = open_page(context, url)
        wait_until(page, "document.querySelector('#curves .note').textContent.startsWith('48 of the 4,000')")
        assert "4,000 members" in page.locator("#about").inner_text()
        spans = [span.removeprefix("bytes=").split("-") for path, span in asked if path == "/metrics.parquet" and span]
    read = sum(int(stop) - int(start) + 1 for start, stop in spans)
    assert len(spans) > 48
    assert read < 0.15 * (tmp_path / "metrics.parquet").stat().st_size
    assert not any("weights" in path for path, _ in asked)


def test_one_of_several_zoos_is_chosen(context, tmp_path, published):
    make, _ = make_zoo(tmp_path / "store", members=9, cohorts=1)
    for name, zoo in {"first": make}.items():
        write_published(tmp_path / "host" / name, zoo)
    write_files(tmp_path / "host", {"index.html": (published / "index.html").read_bytes()})
    for asset in ("app.js", "app.css"):
        write_files(tmp_path / "host", {f"browser/{asset}": (published / "browser" / asset).read_bytes()})
    (tmp_path / "host" / "second").symlink_to(published)
    write_list(tmp_path / "host", {"one": "first", "two": "second/"})
    with static_host(tmp_path / "host") as (url, _):
        page = open_page(context, url)
        assert count(page) == "all of 9 members selected"
        page.get_by_label("Zoo").select_option(label="two")
        wait_until(page, "document.getElementById('count').textContent.includes('60')")
        page = open_page(context, f"{url}#zoo=two")
        assert count(page) == "all of 60 members selected"


def test_texts_of_a_zoo_are_texts(context, tmp_path):
    plan = make_plan(8, 1)
    plan["init"] = "<img src=x onerror=window.owned=1>"
    plan.loc[0, "init"] = "</script><script>window.owned=1</script>"
    header = make_header(name="<b onmouseover=window.owned=1>zoo</b>")
    zoo = create_zoo(tmp_path / "store", header, plan)
    write_cohort(zoo, "0-000")
    with serving([open_shelf(zoo.url)]) as server:
        page = open_page(context, server.url)
        page.locator("#members .link").first.click()
        assert page.locator("h1").inner_text() == header.name
        assert page.locator("h1 b, #filters img, #member img").count() == 0
        assert page.evaluate("window.owned") is None


def test_what_is_missing_is_said(context, tmp_path, published):
    host = tmp_path / "host"
    shutil.copytree(published, host)
    (host / "metrics.parquet").unlink()
    with static_host(host) as (url, _):
        page = open_page(context, url)
        page.wait_for_selector("#failure:not([hidden])")
        assert page.locator("#failure").inner_text() == f"{url}metrics.parquet is missing."
    (host / "zoo.json").unlink()
    with static_host(host) as (url, _):
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#failure:not([hidden])")
        assert page.locator("#failure").inner_text() == f"{url}zoo.json is missing."


@pytest.mark.parametrize("webgl", [True, False])
def test_an_embedding_is_a_map(context, zoo, tmp_path, webgl):
    draw = np.random.default_rng(0)
    places = {"component 1": draw.normal(size=50), "component 2": draw.normal(size=50)}
    write_published(tmp_path, zoo, embeddings=encode_embeddings(zoo.members["member"][:50], EPOCHS[-1], places))
    if not webgl:
        context.add_init_script(
            "const real = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
            " return kind.startsWith('webgl') ? null : real.call(this, kind, ...more); };"
        )
    with static_host(tmp_path) as (url, _):
        page = open_page(context, url)
        assert page.locator("#embedding .note").inner_text().startswith("50 states at epoch 4")
        canvas = page.locator("#embedding canvas")
        box = canvas.bounding_box()
        row = int(np.argmax(places["component 1"]))
        up = (places["component 2"][row] - places["component 2"].min()) / np.ptp(places["component 2"])
        at = {"x": box["width"] - 8, "y": box["height"] - 8 - up * (box["height"] - 16)}
        painted = png_of(canvas)
        assert len(np.unique(painted.reshape(-1, 3), axis=0)) > 20
        canvas.click(position=at)
        assert page.locator("#member h2").inner_text() == f"Member {zoo.members['member'][row]}"


def test_accuracy_is_drawn_against_sparsity_where_there_is_any(context, zoo, published, tmp_path):
    host = tmp_path / "host"
    shutil.copytree(published, host)
    final = zoo.read_metrics(epochs=EPOCHS[-1]).assign(sparsity_ratio=np.linspace(0, 0.9, 60))
    write_files(host, {"browser/members.parquet": encode_members(zoo.members, final, np.arange(60) * len(EPOCHS))})
    with static_host(host) as (url, _):
        page = open_page(context, url)
        wait_until(page, "document.querySelectorAll('#sparsity svg circle').length === 60")
    with static_host(published) as (url, _):
        assert open_page(context, url).locator("#sparsity").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_folds_its_filters_and_does_not_scroll_sideways(chromium, address, scheme):
    context = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page = open_page(context, address)
    assert not page.locator("#filters").is_visible()
    page.get_by_role("button", name="Filters", exact=True).click()
    assert page.locator("#filters").is_visible()
    page.locator("#members .link").first.click()
    page.wait_for_selector(".tensors[data-epoch]")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def png_of(locator):
    """The pixels of an element on the screen, ``[height, width, 3]``."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"))
