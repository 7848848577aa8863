"""The zoo browser on a simulated zoo of 50,000 members, from a plain static host, in a headless Chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError
from tests.benchmarks.results import Result, spread
from tests.support.chromium import find_chromium, launch, open_page, wait_until
from tests.support.pages import simulate_large, static_host

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS, EPOCHS, REPEATS = 50_000, 50, 5
FILTER = """async () => {
    const slider = document.querySelector('[data-column="lr"] .highest');
    const shown = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (const value of [950, 900, 850, 800, 750, 700, 650, 600]) {
        const started = performance.now();
        slider.value = value;
        slider.dispatchEvent(new Event('input'));
        await shown();
        times.push(performance.now() - started);
        await new Promise((done) => setTimeout(done, 1500));
    }
    return times;
}"""


def measure() -> None:
    """Open the page in fresh contexts, then filter."""
    path = find_chromium()
    if path is None:
        raise InputError("no Chromium is installed: install the package chromium.")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        simulate_large(folder, MEMBERS, EPOCHS)
        browser = launch(playwright, path)
        with static_host(folder) as (url, asked):
            runs = [_visit(browser, url, asked) for _ in range(REPEATS)]
        browser.close()
        stored = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    rows = [
        ("first plot", _ms([run["first-plot"] for run in runs])),
        ("all columns read, all filters and plots of them", _ms([run["all-plots"] for run in runs])),
        (
            "a filter moved, all counts and plots of columns drawn",
            _ms([time for run in runs for time in run["filter"]]),
        ),
        ("read until then, 48 curves included", f"{median(run['read'] for run in runs) / 1e6:.1f} MB"),
        ("stored in both tables", f"{stored / 1e6:.0f} MB"),
    ]
    notes = (
        f"Simulated: {MEMBERS:,} members, {EPOCHS + 1} checkpoints, seven metrics. A static host on this machine, a "
        f"headless Chromium without a graphics card, {REPEATS} fresh contexts; times since navigation began, or since "
        "the slider's event until after the next frame.",
    )
    Result("browsing", "The zoo browser on 50,000 members", ("what", "measured"), rows, notes).save()


def _visit(browser: Any, url: str, asked: list[tuple[str, str | None]]) -> dict[str, Any]:
    asked.clear()
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = open_page(context, url)
    wait_until(page, "document.querySelector('#curves .note').textContent.startsWith('48 of')")
    spans = [span.removeprefix("bytes=").split("-") for _, span in asked if span]
    marks = dict(page.evaluate("performance.getEntriesByType('mark').map((mark) => [mark.name, mark.startTime])"))
    read = sum(int(stop) - int(start) + 1 for start, stop in spans)
    found = {**marks, "read": read, "filter": page.evaluate(FILTER)}
    context.close()
    return found


def _ms(times: Sequence[float]) -> str:
    return spread(times, unit=" ms", digits=0)
