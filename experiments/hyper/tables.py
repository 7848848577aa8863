"""Print the tables of README.md from the results beside it: ``python experiments/hyper/tables.py ZOO``.

``results/ZOO_probe*.json`` is what ``geozoo probe --json`` printed, one file for each seed of the encoder; the first
has the baselines too. ``results/ZOO_decoded.json`` is what ``geozoo evaluate --json`` printed for all of them.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from geozoo.hyper.decoding.decoded_scores import DecodedScores
from geozoo.hyper.probing.features import TITLES
from geozoo.hyper.probing.scores import Score
from geozoo.report.decoded_view import caption, layers_markdown, markdown_table

RESULTS = Path(__file__).parent / "results"
EMBEDDING = "embedding"
PUBLISHED_READOUTS = {"regression": "ridge", "classification": "softmax"}
EPOCHS = {"all": "all epochs", "final": "last epoch"}

Key = tuple[str, str]


def probe_rows(zoo: str) -> dict[tuple[Key, str], list[list[dict[str, Any]]]]:
    """Rows by (target, epochs) and feature set: one list of readouts for each file that has them."""
    found: dict[tuple[Key, str], list[list[dict[str, Any]]]] = defaultdict(list)
    for path in sorted(RESULTS.glob(f"{zoo}_probe*.json")):
        by_key: dict[tuple[Key, str], list[dict[str, Any]]] = defaultdict(list)
        for row in json.loads(path.read_text())["rows"]:
            if row["selection"]["members"] == "all":
                by_key[(row["target"], row["selection"]["epochs"]), row["features"]].append(row)
        for key, rows in by_key.items():
            found[key].append(rows)
    return found


def best_on_validation(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The readout that did best on validation states."""
    known = [row for row in rows if row["validation"] is not None]
    return max(known, key=lambda row: row["validation"]) if known else rows[0]


def as_published(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The linear readout of the published protocol."""
    return next((row for row in rows if row["readout"] == PUBLISHED_READOUTS[row["kind"]]), None)


def property_table(zoo: str, *, linear: bool) -> str:
    """Scores by target and feature set, over seeds where there are several; the best of a line is bold."""
    rows = probe_rows(zoo)
    names = [name for name in TITLES if any(features == name for _, features in rows)]
    lines = [["property", "states", *(TITLES[name] for name in names)], ["---"] * (len(names) + 2)]
    for target, epochs in dict.fromkeys(key for key, _ in rows):
        cells: list[tuple[float | None, str]] = []
        for name in names:
            runs = rows.get(((target, epochs), name), [])
            chosen = [as_published(run) if linear else best_on_validation(run) for run in runs]
            cells.append(_cell([row for row in chosen if row is not None], linear=linear))
        top = max((value for value, _ in cells if value is not None), default=None)
        texts = [f"**{text}**" if value is not None and value == top else text for value, text in cells]
        lines.append([target.replace("_", " "), EPOCHS[epochs], *texts])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(rows: list[dict[str, Any]], *, linear: bool) -> tuple[float | None, str]:
    """The mean over runs to two digits, and how it reads: with its range or interval, and its readout."""
    values = [row["score"]["value"] for row in rows if row["score"]["value"] is not None]
    if not values:
        return None, "–"
    mean = round(sum(values) / len(values), 2)
    low, high = (min(values), max(values)) if len(values) > 1 else (rows[0]["score"]["low"], rows[0]["score"]["high"])
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return mean, f"{mean:z.2f}{interval}" + ("" if linear else f" {rows[0]['readout']}")


def decoded_tables(zoo: str) -> str:
    """Scores of decoded networks, by set of epochs."""
    path = RESULTS / f"{zoo}_decoded.json"
    if not path.is_file():
        return ""
    titles = {"final": "The last epoch", "all": "All epochs learned from"}
    parts = []
    for table in json.loads(path.read_text()):
        decoders = {name: [_scores(one) for one in runs] for name, runs in table["decoders"].items()}
        parts += [f"{titles[table['epochs']]}:", markdown_table(decoders), caption(decoders), layers_markdown(decoders)]
    return "\n\n".join(parts)


def _scores(values: dict[str, Any]) -> DecodedScores:
    return DecodedScores(**{name: Score(**one) if _is_score(one) else one for name, one in values.items()})


def _is_score(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"value", "low", "high"}


def main() -> None:
    """Print all tables of the zoo that the command line names."""
    (zoo,) = sys.argv[1:]
    print(f"### {zoo}: each feature set with the readout that did best on validation members\n")
    print(property_table(zoo, linear=False))
    print(f"\n### {zoo}: the published linear readout\n")
    print(property_table(zoo, linear=True))
    print(f"\n### {zoo}: decoded held-out members\n\n{decoded_tables(zoo)}")


if __name__ == "__main__":
    main()
