"""The raw folder of a zoo that Ray Tune made: a folder for each trial and each checkpoint, JSON lines of results."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from geozoo.errors import DataNotFoundError, InputError
from geozoo.interchange.fingerprint import Fingerprint
from geozoo.interchange.names import BOOKKEEPING, METRIC_NAMES
from geozoo.interchange.network import Shapes, flat_vector, in_order, recognise, shapes_of
from geozoo.interchange.restricted import load_json, load_tensors, looks_whole
from geozoo.interchange.settings import Settings
from geozoo.interchange.sources.images import read_test_images
from geozoo.interchange.sources.source import Found, Source, SourceMember, most_common
from geozoo.interchange.sources.statefile import as_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch

STATE, RESULTS, PARAMETERS, IMAGES = "checkpoints", "result.json", "params.json", "dataset.pt"
NO_ROW, NO_SETTINGS = f"metrics of a state, which {RESULTS} lacks", f"settings, which {PARAMETERS} lacks"
_CHECKPOINT = re.compile(r"checkpoint_(\d+)")


class TuneSource(Source):
    """A folder of trials, as the published zoos and Ray Tune itself lay it out.

    A state is ``checkpoint_<number>/checkpoints``, with or without leading zeros. Rows of ``result.json`` are matched
    by ``training_iteration``, of several the last counts; lines that are no JSON, as a killed run leaves them, are
    passed over. Trials without settings, or with a state that has no row, are named in what is left out. The number of
    a checkpoint is its iteration, as in the published zoos; a newer Ray counts checkpoints from 0 and iterations from
    1, which is told by a folder none of whose trials has a checkpoint of its last row's number.
    ``params.pkl`` and ``optimizer`` are never opened.
    """

    kind = "tune"
    metric_names: ClassVar[Mapping[str, str]] = METRIC_NAMES

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataNotFoundError(
                f"there is no folder {str(path)!r}: give the folder that holds those of the trials."
            )
        self.name = path.resolve().name
        self._root = path
        self._shift = 0
        self._shapes: dict[str, Shapes] = {}
        self._interned: dict[Any, Any] = {}
        self._fingerprint = Fingerprint()

    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Read settings, rows and the first state of every trial; see `Source.look`."""
        folders = list(_trial_folders(self._root))
        if not folders:
            raise InputError(f"{str(self._root)!r} holds no trial of Ray Tune: give the folder that holds the trials.")
        trials: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
        settings = Settings(self.settings_names)
        metrics: dict[str, None] = {}
        left_out: dict[str, list[str]] = defaultdict(list)
        for done, folder in enumerate(folders):
            on_step("trials", done, len(folders))
            name = folder.relative_to(self._root).as_posix()
            states = _checkpoints(folder)
            self._count(name, folder, states)
            numbers = tuple(number for number, path in states.items() if looks_whole(path))
            if not numbers:
                left_out["no state"].append(name)
                continue
            rows = read_rows(folder / RESULTS)
            given = read_settings(folder, rows)
            if not given:
                left_out[NO_SETTINGS].append(name)
            metrics |= dict.fromkeys(metric for _, values in rows.values() for metric in values)
            settings.add(given)
            self._remember(name, shapes_of(self._load(name, numbers[0])))
            trials.append((name, *(self._interned.setdefault(one, one) for one in (numbers, tuple(sorted(rows))))))
        if not trials:
            raise InputError(
                f"none of the {len(folders)} trials in {str(self._root)!r} has a state: nothing to import."
            )
        self._shift = _shift([(numbers, iterations) for _, numbers, iterations in trials], self._root)
        if unlogged := self._unlogged(trials):
            left_out[NO_ROW] = unlogged
        return self._gather([(name, numbers) for name, numbers, _ in trials], settings, tuple(metrics), left_out)

    def _count(self, name: str, folder: Path, states: Mapping[int, Path]) -> None:
        """Take a trial into the fingerprint."""
        for table in (RESULTS, PARAMETERS):
            self._fingerprint.add_table(f"{name}/{table}", folder / table)
        for number, path in states.items():
            self._fingerprint.add_state(f"{name}/{number}", path)

    def _unlogged(self, trials: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> list[str]:
        """Trials that have a state without a row; where no trial has a row of the initialisation, none is due."""
        due_at_0 = any(0 in iterations for *_, iterations in trials)
        return [
            name
            for name, numbers, iterations in trials
            if not iterations
            or any((epoch or due_at_0) and epoch not in iterations for epoch in (n + self._shift for n in numbers))
        ]

    def _remember(self, name: str, shapes: Shapes) -> None:
        self._shapes[name] = self._interned.setdefault(shapes, shapes)

    def _gather(
        self,
        trials: list[tuple[str, tuple[int, ...]]],
        settings: Settings,
        metrics: tuple[str, ...],
        left_out: dict[str, list[str]],
    ) -> Found:
        """The trials that hold the network that most of them hold."""
        form = most_common(Counter(_form(self._shapes[name]) for name, _ in trials))
        same = [number for number, (name, _) in enumerate(trials) if _form(self._shapes[name]) == form]
        others = [name for name, _ in trials if _form(self._shapes[name]) != form]
        network = recognise(self._shapes[trials[same[0]][0]])
        self._shapes = {trials[number][0]: in_order(network, self._shapes[trials[number][0]]) for number in same}
        spellings: dict[tuple[str, ...], int] = {}
        members = []
        for name, numbers in (trials[number] for number in same):
            keys = spellings.setdefault(tuple(key for key, _ in self._shapes[name]), len(spellings))
            epochs = tuple(number + self._shift for number in numbers)
            members.append(SourceMember(name, self._interned.setdefault(epochs, epochs), keys))
        left_out = dict(left_out) | ({"another network": others} if others else {})
        return Found(
            network,
            members,
            settings.take(same),
            self._fingerprint.hexdigest(),
            metrics,
            tuple(spellings),
            left_out,
        )

    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """The tensors of one checkpoint; see `Source.state`."""
        state = self._load(member, epoch - self._shift)
        return flat_vector(state, self._shapes[member], f"{member} at epoch {epoch}")

    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """Rows by training iteration; see `Source.rows`."""
        return {iteration: metrics for iteration, (_, metrics) in read_rows(self._root / member / RESULTS).items()}

    def images(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Those of ``dataset.pt``, where the folder has it."""
        path = self._root / IMAGES
        return read_test_images(path) if path.exists() else None

    def _load(self, member: str, number: int) -> dict[str, torch.Tensor]:
        folder = self._root / member
        spellings = [folder / f"checkpoint_{number}" / STATE, folder / f"checkpoint_{number:06d}" / STATE]
        others = _checkpoints(folder) if folder.is_dir() else {}
        path = next((path for path in spellings if path.is_file()), None) or others.get(number)
        if path is None:
            raise DataNotFoundError(
                f"checkpoint {number} of {str(folder)!r} is gone: was the folder changed meanwhile?"
            )
        return as_state(load_tensors(path), path)


def _form(shapes: Shapes) -> tuple[tuple[int, ...], ...]:
    return tuple(shape for _, shape in shapes)


def _trial_folders(root: Path) -> Iterator[Path]:
    """Folders of trials at any depth, in order: with results, settings or checkpoints, or with nothing at all.

    Links to folders are followed, each folder once.
    """
    seen = set()
    for current, folders, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(current)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        inside = [name for name in folders if _CHECKPOINT.fullmatch(name)]
        trial = RESULTS in files or PARAMETERS in files or bool(inside)
        if Path(current) != root and (trial or not (folders or files)):
            folders.clear()
            yield Path(current)


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Files of states by the number of their checkpoint, ascending."""
    found: dict[int, Path] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        match = _CHECKPOINT.fullmatch(entry.name)
        if match and (Path(entry.path) / STATE).is_file():
            found[int(match[1])] = Path(entry.path) / STATE
    return dict(sorted(found.items()))


def read_rows(path: Path) -> dict[int, tuple[dict[str, Any], dict[str, float]]]:
    """Rows of a ``result.json`` by training iteration, the last of each: the settings they carry, and their metrics.

    Metrics are all numbers but what Ray adds by itself; numbers of nested results are named ``outer/inner``.
    """
    rows: dict[int, tuple[dict[str, Any], dict[str, float]]] = {}
    if not path.is_file():
        return rows
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
                iteration = int(row["training_iteration"])
            except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
                continue
            config = row.get("config")
            rows[iteration] = (config if isinstance(config, dict) else {}, dict(_numbers(row)))
    return rows


def _numbers(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if name in BOOKKEEPING and not prefix:
            continue
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
            yield prefix + name, value if isinstance(value, float) else float(np.float64(value))


def read_settings(folder: Path, rows: Mapping[int, tuple[dict[str, Any], dict[str, float]]]) -> dict[str, Any]:
    """Settings of a trial: of ``params.json``, or where that is missing or no object of its rows."""
    path = folder / PARAMETERS
    settings = load_json(path) if path.is_file() else None
    return settings if isinstance(settings, dict) else next((config for config, _ in rows.values() if config), {})


def _shift(trials: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], root: Path) -> int:
    """What to add to a checkpoint's number to get its training iteration: 0, or 1 where checkpoints are counted.

    ``trials`` are the numbers of checkpoints and the iterations of rows, both ascending.
    """
    ends = [(numbers, iterations) for numbers, iterations in trials if iterations]
    if not ends or any(iterations[0] == 0 or iterations[-1] in numbers for numbers, iterations in ends):
        return 0
    if any(numbers[-1] + 1 == iterations[-1] for numbers, iterations in ends):
        return 1
    numbers, iterations = ends[0]
    raise InputError(
        f"the checkpoints in {str(root)!r} are numbered up to {numbers[-1]} and the rows of results up to "
        f"{iterations[-1]}, so that their training iterations cannot be told: import a zoo with a checkpoint for "
        "every row."
    )
