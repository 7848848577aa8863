"""CHECK.md and its figure, from results/check.json."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

DETECTION, FALSE = 0.90, 0.02
WHY = {
    "labels interpolated and rounded": "31 % of the maps, 64 pixels wide, have hardly any border between classes",
    "copy moved by one pixel": "the fingerprint is of fixed blocks: overlapping crops are another problem",
}
ONE_TILE = "one tile may be like another band's usual look; the check goes by the vote of all (below)"

HEAD = """Written by `python -m experiments.eo.check_table` (seeded; needs GEOZOO_DATA) from `results/check.json`.
All pixels are real Sentinel data; the faults are put in. A check may say that there is a fault, nothing, or that it
cannot decide."""
AS_PUBLISHED = """As published these tiles have no certain finding (they hold no nodata; a single nodata pixel would
be a true one). The statistical checks say of them:"""
TRUE_FINDINGS = """The findings on offsets are true as far as pixels can tell: B10, nearly black without it, is over
1000 everywhere in three of the five L1C tiles of TerraMind, and one L2A tile has nothing darker than 960 though 6 %
of it is water. For the shifts see below."""
PROTOCOL = """Scenes are halved: thresholds and weights are fitted on either half and judged on the other; the
library has the same fits on all scenes, rounded. 534 pieces of 64x64 pixels of Sentinel-2 (300 patches whose scenes
are not known, each taken as its own; 234 from 19 places), 133 of Sentinel-1 from 12 scenes, 45 of land cover from 5.
Not decidable counts as not found; what stays under 90 % or over 2 % says why. Of near-duplicates the threshold was
set on all pieces, and nothing is fitted. Which features are used, and where a tile is too bright or too snowy to be
judged, was chosen while looking at all scenes. Votes are of tiles drawn from all patches or from all other sources,
half the times each."""
SHIFT_PROTOCOL = """Twelve scenes, S1 moved by whole pixels in four directions and both cut, so that no pixel is
made up. A scene is judged over all its tiles. How clear a peak must be is set on the other half of the scenes: over
98 % of unrelated pairs (S1 of one scene, S2 of another; of all {count} that is {clarity:.1f}), and so that parts of a
scene agree within 2 pixels (all do over {agreed:.1f}; {close:.0%} then agree within 1). The features were chosen
while looking at all scenes. The library asks for 6."""
NOT_ALIGNED = """**Published pairs are not aligned to begin with.** Estimates (down, right; clarity) of each scene
and of its two halves, which agree within 1.5 pixels where both are clear:"""
TRUTH = """So zero is not the truth that an estimate can be held to. The last column holds it to what was put in
plus what the *other* half of the scene has as published. A shift counts as found from 2 pixels on."""
LIMITS = """What limits this: twelve scenes, some without texture that both sensors see; published shifts of up to
2.6 pixels, which add to or take from what is put in; and shifts that differ by a pixel within a scene. At 0 pixels
the scenes found are those that are shifted as published. The estimate moves with the pixels, so that what is decided
hardly depends on the shift. An estimate is good to about one pixel, and a shift of one pixel cannot be told from what
published pairs have."""
SHIFT_COLUMNS = (
    "pixels put in",
    "judged",
    "not decidable",
    "found",
    "found, of the decidable",
    "within 1 px of what was put in, of the decidable",
    "within 1 px after the published shift, of decidable halves",
)
STATISTICAL_COLUMNS = ("fault", "injected", "found", "not decidable", "clean", "false alarms", "why not better")

Record = dict[str, Any]


def write_pages(measured: Record, folder: Path) -> None:
    """Write both below ``folder``."""
    parts = [
        "# What the validators find",
        _prose(HEAD),
        *_certain(measured["certain"], measured["clean"]),
        "## Statistical checks",
        _prose(PROTOCOL),
        _table(STATISTICAL_COLUMNS, [_statistical_row(row) for row in measured["statistical"]]),
        *_shift(measured["shift"]),
    ]
    (folder / "CHECK.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    _draw(_by_pixels(measured["shift"]["curve"]), folder / "check_shift.svg")


def _certain(rows: list[Record], clean: list[Record]) -> list[str]:
    total, found = sum(row["injected"] for row in rows), sum(row["found"] for row in rows)
    names = ", ".join(row["collection"] for row in clean)
    summary = (
        f"{total} faults at random places of copies of {names}, which the readers then find on disk: "
        f"**{found} found** with the right kind, file and band."
    )
    said = [f"- {row['collection']}, {sentence}" for row in clean for sentence in row["statistical"]]
    published = [[row["collection"], row["tiles"], row["certain"], len(row["statistical"])] for row in clean]
    return [
        "## Certain checks",
        _prose(summary),
        _table(("fault", "injected", "found"), [list(row.values()) for row in rows]),
        _prose(AS_PUBLISHED),
        _table(("collection", "tiles", "certain", "statistical"), published),
        "\n".join(said),
        _prose(TRUE_FINDINGS),
    ]


def _statistical_row(row: Record) -> list[object]:
    return [
        row["fault"],
        row["injected"] or "–",
        _share(row["found"], row["injected"]),
        _share(row["missed_undecided"], row["injected"]),
        row["clean"],
        _share(row["false"], row["clean"]),
        _why(row),
    ]


def _why(row: Record) -> str:
    short = bool(row["injected"]) and row["found"] / row["injected"] < DETECTION
    loud = row["false"] / row["clean"] > FALSE
    if not short and not loud:
        return ""
    return ONE_TILE if row["fault"].endswith("one tile") else WHY.get(row["fault"], "not explained")


def _shift(measured: Record) -> list[str]:
    published = [
        [scene["scene"], _place(scene["whole"]), *map(_place, scene["halves"])] for scene in measured["published"]
    ]
    rows = [_shift_row(pixels, judged) for pixels, judged in _by_pixels(measured["curve"]).items()]
    return [
        "## Shift between Sentinel-1 and Sentinel-2",
        _prose(SHIFT_PROTOCOL.format(**_clarity(measured))),
        _prose(NOT_ALIGNED),
        _table(("scene", "whole", "one half", "other half"), published),
        _prose(TRUTH),
        _table(SHIFT_COLUMNS, rows),
        "![share of scenes against the shift put in](check_shift.svg)",
        _prose(LIMITS),
    ]


def _clarity(measured: Record) -> dict[str, float]:
    unrelated, parts = measured["unrelated_clarity"], measured["agreement"]
    agreed = max(pair["clarity"] for pair in parts if pair["apart"] > 2)
    close = float(np.mean([pair["apart"] <= 1 for pair in parts if pair["clarity"] > agreed]))
    return {"count": len(unrelated), "clarity": float(np.percentile(unrelated, 98)), "agreed": agreed, "close": close}


def _shift_row(pixels: int, judged: list[Record]) -> list[object]:
    clear = [one for one in judged if one["clear"]]
    after = _after(judged)
    return [
        pixels,
        len(judged),
        f"{1 - len(clear) / len(judged):.0%}",
        f"{_mean(judged, 'found'):.0%}",
        f"{_mean(clear, 'found'):.0%}",
        f"{_mean(clear, 'right'):.0%}",
        f"{np.mean(after):.0%} of {len(after)}",
    ]


def _by_pixels(curve: list[Record]) -> dict[int, list[Record]]:
    lengths = sorted({judged["pixels"] for judged in curve})
    return {pixels: [judged for judged in curve if judged["pixels"] == pixels] for pixels in lengths}


def _after(judged: list[Record]) -> list[bool]:
    return [right for one in judged for right in one["after"]]


def _mean(judged: list[Record], name: str) -> float:
    return float(np.mean([one[name] for one in judged]))


def _place(shift: Record) -> str:
    return f"{shift['down']:+.1f}, {shift['right']:+.1f}; {shift['clarity']:.1f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def _table(columns: tuple[str, ...], rows: list[list[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _draw(by_pixels: dict[int, list[Record]], file: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = {
        "decidable": [_mean(judged, "clear") for judged in by_pixels.values()],
        "found (2 px or more)": [_mean(judged, "found") for judged in by_pixels.values()],
        "within 1 px after the published shift (decidable halves)": [
            float(np.mean(_after(judged))) for judged in by_pixels.values()
        ],
    }
    with mpl.rc_context({"svg.hashsalt": "geozoo", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for (name, values), colour, marker in zip(lines.items(), ("#5f6b76", "#D55E00", "#0072B2"), "s^o", strict=True):
            axes.plot(list(by_pixels), 100 * np.array(values), color=colour, marker=marker, label=name)
        axes.set(xlabel="pixels that S1 was moved by", ylabel="share of scenes (%)", ylim=(0, 105))
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(file, metadata={"Date": None})
