"""Write TABLES.md from published.yaml and the results beside it: ``python experiments/ssl/tables.py``.

A result is what ``geozoo sweep experiments/ssl/SYSTEM.yaml --set task=TASK ... --json`` printed, kept as
``results/SYSTEM_TASK.json``, for example ``results/onlysen1_multi.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from geozoo.eo.labels import DFC_CLASSES

FOLDER = Path(__file__).parent
PAGE = FOLDER / "TABLES.md"
INTRODUCTION = """# Land cover of DFC2020

Written by `python experiments/ssl/tables.py` from `published.yaml` and `results/`. "Slides" rows are published numbers,
from the {source}: mean±deviation over their runs. "Here" rows are ours:
mean±sample deviation over seeds, of the rate that did best on validation scenes, on all {test_chips:,} test patches.
They are empty where nothing was run: DFC2020 and SEN12MS are not part of this repository. With both, a row is filled by

```
geozoo eo ingest SEN12MS --size 256 --to sen12ms-chips
geozoo eo ingest DFC2020 --size 256 --to dfc2020-chips
geozoo train experiments/ssl/dual_simclr.yaml --set chips=sen12ms-chips --to dual_simclr
geozoo sweep experiments/ssl/dual_simclr_labels.yaml --set chips=dfc2020-chips --set model=dual_simclr \\
  --set task=multi --to rows --json > experiments/ssl/results/dual_simclr_labels_multi.json
python experiments/ssl/tables.py
```"""


def page(results: Path = FOLDER / "results") -> str:
    """The page with the tables of both tasks."""
    published = yaml.safe_load((FOLDER / "published.yaml").read_text(encoding="utf-8"))
    parts = [INTRODUCTION.format(**published)]
    for task, table in published["tables"].items():
        lines = [["", *published["columns"], table["overall"]]]
        lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
        for system, about in published["systems"].items():
            lines.append([f"{about['title']}, slides", *table["rows"][system]])
            ours = our_row(results / f"{system}_{task}.json", about["method"], task, published["test_chips"])
            lines.append([f"{about['title']}, here", *(ours or [""] * (len(lines[0]) - 1))])
        parts += [f"## {table['title']}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


def our_row(path: Path, method: str, task: str, test_chips: int) -> list[str] | None:
    """Every class, average and overall as ``a±b`` in percent; None where there is no such file.

    Raises:
        ValueError: the file is of other data, another task or part of them, has one seed, or has no row of all labels.
    """
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    expected = {"data": "dfc2020", "task": task, "classes": list(DFC_CLASSES), "test_chips": test_chips}
    if different := [name for name, value in expected.items() if values.get(name) != value]:
        name = different[0]
        raise ValueError(f"{path.name} has {name} {values.get(name)!r}, not {expected[name]!r}: remove it")
    cells = [cell for cell in values["cells"] if (cell["method"], cell["fraction"]) == (method, 1.0)]
    if cells and cells[0]["seeds"] < 2:
        raise ValueError(f"{path.name} has one seed, which has no deviation: run more, or remove the file")
    if not cells:
        raise ValueError(f"{path.name} has no row {method!r} of all labels: run it, or remove the file")
    return [percent(one) for one in (*cells[0]["per_class"], cells[0]["average"], cells[0]["overall"])]


def percent(spread: dict[str, Any] | None) -> str:
    """A spread as slides write it, without decimals; a dash for a class that does not occur."""
    return "–" if spread is None else f"{100 * spread['mean']:.0f}±{100 * spread['std']:.0f}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
