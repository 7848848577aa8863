"""Write the tables of RESULTS.md from the results beside it: ``python experiments/hyper/tables.py``.

All results are what ``geozoo ... --json`` printed:

    results/ZOO_probe.json               the baselines of the probe
    results/ZOO_probe_EXPERIMENT-N.json  the embedding of the model of an experiment with seed N
    results/ZOO_labels.json              the probe with few labels
    results/ZOO_decoded.json             `geozoo evaluate` of all models
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from geozoo.hyper.decoding.decoded_scores import DecodedScores
from geozoo.hyper.probing.features import TITLES
from geozoo.hyper.probing.labels import LabelRow, LabelTable
from geozoo.hyper.probing.scores import Score
from geozoo.report.decoded_view import caption, layers_markdown, markdown_table
from geozoo.report.labels_view import curve_lines

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent / "RESULTS.md"
ZOOS = ("mnist_cnn_1k", "eurosat_cnn_1k", "mnist_unterthiner_1k")
INTRODUCTION = """# What the embeddings know, and what decodes from them

Written by `python experiments/hyper/tables.py` from what `geozoo probe --json` and `geozoo evaluate --json` printed
(`results/`); the commands are in README.md. Test R² or, for classes, accuracy, on members that neither readout nor
encoder has seen. In brackets: of an embedding the smallest and largest over the seeds of its encoder, of the others
the 95 % interval by bootstrap over members. The best of a line is bold. The equivariant network has no linear readout:
it is trained end to end for each property. The published ridge sees features as they are, penalises the intercept too
and has penalties up to 1,000; ridge on scaled features is free of these handicaps. The penalty of the perceptron (MLP)
was chosen while looking at test scores of mnist_cnn_1k, which flatters that readout there, for every feature set."""
EMBEDDING = "embedding"
PUBLISHED_READOUTS = {"regression": "ridge", "classification": "softmax"}
EPOCHS = {"all": "all epochs", "final": "last epoch"}
COUNTS = ("train_states", "validation_states", "test_states", "test_members")

SLIDES_COLUMNS = ("MNIST-Hyp", "F-MNIST-Hyp", "CIFAR10-Hyp", "SVHN-Hyp")
SLIDES = {
    "Epoch": (
        "25.8 / 33.2 / **50.0**",
        "26.6 / 34.6 / **51.3**",
        "25.7 / 30.3 / **53.3**",
        "22.8 / 37.8 / **52.6**",
    ),
    "Accuracy": ("– / 81.5 / **94.9**", "– / 78.5 / **96.2**", "– / 82.9 / **92.7**", "– / 82.1 / **91.1**"),
}

Key = tuple[str, str]
Row = dict[str, Any]


def probe_rows(zoo: str) -> dict[str, list[dict[Key, list[Row]]]]:
    """By feature set: for each seed the rows of all readouts by target and epochs, over all members.

    Raises:
        ValueError: files disagree in how many states they saw, so that their rows cannot be compared.
    """
    found: dict[str, list[dict[Key, list[Row]]]] = defaultdict(list)
    counts: dict[Key, tuple[int, ...]] = {}
    for path in sorted(RESULTS.glob(f"{zoo}_probe*.json")):
        experiment = path.stem.removeprefix(f"{zoo}_probe").lstrip("_").rpartition("-")[0]
        by_features: dict[str, dict[Key, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in json.loads(path.read_text())["rows"]:
            if row["selection"]["members"] != "all":
                continue
            key = row["target"], row["selection"]["epochs"]
            seen = tuple(row[name] for name in COUNTS)
            if counts.setdefault(key, seen) != seen:
                raise ValueError(f"{path.name} saw {seen} states of {key}, another file {counts[key]}: probe again.")
            title = f"embedding, {experiment}" if row["features"] == EMBEDDING else TITLES[row["features"]]
            by_features[title][key].append(row)
        for title, rows in by_features.items():
            found[title].append(rows)
    return found


def best_on_validation(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The readout that did best on validation states."""
    known = [row for row in rows if row["validation"] is not None]
    return max(known, key=lambda row: row["validation"]) if known else rows[0]


def as_published(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The linear readout of the published protocol."""
    return next((row for row in rows if row["readout"] == PUBLISHED_READOUTS[row["kind"]]), None)


def on_scaled_features(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Ridge on standardised features, which has no equal among classes."""
    return next((row for row in rows if row["family"] == "standardised"), None)


def property_table(zoo: str, pick: Callable[[list[Row]], Row | None], *, named: bool = False) -> str:
    """Scores by target and feature set, over seeds where there are several; the best of a line is bold.

    ``pick`` takes one of the readouts of a feature set, ``named`` says which beside its score.
    """
    found = probe_rows(zoo)
    lines = [["property", "states", *found], ["---"] * (len(found) + 2)]
    for target, epochs in dict.fromkeys(key for runs in found.values() for key in runs[0]):
        cells: list[tuple[float | None, str]] = []
        for runs in found.values():
            chosen = [pick(run[target, epochs]) for run in runs]
            cells.append(_cell([row for row in chosen if row is not None], named=named))
        top = max((value for value, _ in cells if value is not None), default=None)
        if top is None:
            continue
        texts = [f"**{text}**" if value is not None and value == top else text for value, text in cells]
        lines.append([target.replace("_", " "), EPOCHS[epochs], *texts])
    return _markdown(lines)


def summary_table(zoo: str) -> str:
    """All epochs: the published linear readout and, after a stroke, the readout that did best on validation."""
    found = probe_rows(zoo)
    lines = [["property", *found], ["---"] * (len(found) + 1)]
    for target in ("test_accuracy", "generalization_gap", "epoch"):
        pairs = []
        for runs in found.values():
            chosen = [[pick(run[target, "all"]) for run in runs] for pick in (as_published, best_on_validation)]
            pairs.append([_cell([row for row in rows if row is not None])[0] for rows in chosen])
        best = [max(value for value in column if value is not None) for column in zip(*pairs, strict=True)]
        cells = [" / ".join(_bold(value, top) for value, top in zip(pair, best, strict=True)) for pair in pairs]
        lines.append([target.replace("_", " "), *cells])
    return _markdown(lines)


def scaled_table(zoo: str) -> str:
    """Test accuracy over all epochs, read by ridge on scaled features."""
    found = probe_rows(zoo)
    lines = [["zoo", *found], ["---"] * (len(found) + 1)]
    chosen = [[on_scaled_features(run["test_accuracy", "all"]) for run in runs] for runs in found.values()]
    values = [_cell([row for row in rows if row is not None])[0] for rows in chosen]
    top = max(value for value in values if value is not None)
    lines.append([zoo, *(_bold(value, top) for value in values)])
    return _markdown(lines)


def _bold(value: float | None, top: float) -> str:
    if value is None:
        return "–"
    return f"**{value:z.2f}**" if value == top else f"{value:z.2f}"


def slides_table(zoo: str) -> str:
    """The table of the slides on zoos in the manner of the Small CNN Zoo, as far as there is a zoo: ridge, R2 in %."""
    found = probe_rows(zoo)
    names = [TITLES["weights"], TITLES["stats"], next(name for name in found if name.startswith(EMBEDDING))]
    lines = [["W / s(W) / E_cD", *SLIDES_COLUMNS], ["---"] * 5]
    for title, target in {"Epoch": "epoch", "Accuracy": "test_accuracy"}.items():
        runs = [[as_published(run[target, "all"]) for run in found[name]] for name in names]
        values = [round(100 * fmean(row["score"]["value"] for row in rows if row), 1) for rows in runs]
        cells = [f"**{value}**" if value == max(values) else f"{value}" for value in values]
        lines.append([f"{title}, here", " / ".join(cells), "", "", ""])
        lines.append([f"{title}, slides", *SLIDES[title]])
    return _markdown(lines)


def labels_table(zoo: str) -> str:
    """Mean score and standard deviation over draws, by how many members are labelled; the best of a column is bold."""
    path = RESULTS / f"{zoo}_labels.json"
    if not path.is_file():
        return ""
    values = json.loads(path.read_text())
    names = {field.name for field in fields(LabelRow)}
    rows = [{name: value for name, value in row.items() if name in names} for row in values["rows"]]
    table = LabelTable(**{**values, "rows": [LabelRow(**row) for row in rows]})
    lines = [["property", "features", *(f"{count} labelled" for count in table.labels)]]
    lines.append(["---"] * len(lines[0]))
    for line in curve_lines(table):
        cells = [f"**{text}**" if is_best else text for text, is_best in line.cells]
        lines.append([line.target, line.features, *cells])
    return _markdown(lines)


def _markdown(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(rows: list[dict[str, Any]], *, named: bool = False) -> tuple[float | None, str]:
    """The mean over runs to two digits, and how it reads: with its range or interval, and its readout."""
    values = [row["score"]["value"] for row in rows if row["score"]["value"] is not None]
    if not values:
        return None, "–"
    mean = round(sum(values) / len(values), 2)
    low, high = (min(values), max(values)) if len(values) > 1 else (rows[0]["score"]["low"], rows[0]["score"]["high"])
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return mean, f"{mean:z.2f}{interval}" + (f" {rows[0]['readout']}" if named else "")


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


def page() -> str:
    """The page of all zoos that have results."""
    parts = [INTRODUCTION]
    for zoo in ZOOS:
        parts += [f"## {zoo}", "All epochs, published linear readout / best readout on validation:", summary_table(zoo)]
        parts += [
            "The readout that did best on validation members:",
            property_table(zoo, best_on_validation, named=True),
        ]
        parts += ["The published linear readout:", property_table(zoo, as_published)]
        parts += ["Ridge on scaled features:", property_table(zoo, on_scaled_features)]
        if zoo == "mnist_unterthiner_1k":
            parts += ["The table of the slides, R² in %, ridge as published, all epochs:", slides_table(zoo)]
        if labels := labels_table(zoo):
            parts += ["Few labelled members, mean and standard deviation over draws of members:", labels]
        if decoded := decoded_tables(zoo):
            parts += ["### Decoded held-out members", decoded]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
