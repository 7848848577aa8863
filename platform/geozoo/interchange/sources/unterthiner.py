"""The Small CNN Zoo (Unterthiner et al., 2020): one array of weights, one table of metrics, one table of the layout."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from geozoo.interchange.fingerprint import Fingerprint
from geozoo.interchange.network import Shapes, recognise
from geozoo.interchange.restricted import load_array
from geozoo.interchange.settings import Settings
from geozoo.interchange.sources.source import Found, Source, SourceMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from geozoo.datasets import ImageSet, ImageSplit

WEIGHTS, LAYOUT, METRICS = "weights.npy", "layout.csv", ("metrics.csv.gz", "metrics.csv")
MEASURED = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
_PREFIX = "config."
_LUMA = (0.2989, 0.5870, 0.1140)


class UnterthinerSource(Source):
    """A folder with ``weights.npy``, ``metrics.csv.gz`` and ``layout.csv``.

    A row of the array holds, layer by layer, the biases and then the kernel as Keras has it, height x width x in x out
    (dense: in x out). Tensors are put in torch's order: kernels first, out x in x height x width, so that the weights
    of one neuron lie together. Rows of one ``modeldir`` are one member, ``step`` is the epoch; metrics were measured in
    evaluation mode, the losses with their L2 penalty.
    """

    kind = "unterthiner"
    settings_names: ClassVar[Mapping[str, str]] = {
        "activation": "activation",
        "w_init": "init",
        "init_std": "init_std",
        "optimizer": "optimizer",
        "learning_rate": "lr",
        "dropout": "dropout",
        "random_seed": "seed",
    }
    metric_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, path: Path) -> None:
        for name in (WEIGHTS, LAYOUT):
            if not (path / name).is_file():
                raise DataNotFoundError(
                    f"there is no {name} in {str(path)!r}: give the folder with {WEIGHTS}, {METRICS[0]} and {LAYOUT}."
                )
        self.name = path.resolve().name
        self._path = path
        self._order = np.empty(0, dtype=np.int64)
        self._weights = np.empty((0, 0), dtype=np.float32)
        self._rows: dict[str, dict[int, int]] = {}
        self._table: pd.DataFrame | None = None

    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Read both tables and map the array; see `Source.look`."""
        on_step("tables", 0, 1)
        self._weights = load_array(self._path / WEIGHTS)
        shapes, self._order = read_layout(self._path / LAYOUT)
        if self._weights.ndim != 2 or self._weights.shape[1] != len(self._order):
            raise InputError(
                f"{WEIGHTS} in {str(self._path)!r} has shape {self._weights.shape} and {LAYOUT} describes "
                f"{len(self._order)} weights a row: they belong to different zoos."
            )
        table = self._table = self._read_metrics()
        short = table["modeldir"].map(lambda text: PurePath(str(text)).name)
        unique = short.nunique() == table["modeldir"].nunique()
        copies = []
        for row, (name, step) in enumerate(zip(short if unique else table["modeldir"], table["step"], strict=True)):
            steps = self._rows.setdefault(str(name), {})
            if int(step) in steps:
                copies.append(f"{name} at epoch {int(step)}")
            steps[int(step)] = row
        settings = Settings(self.settings_names)
        columns = [name for name in table.columns if name.startswith(_PREFIX)]
        plain = table[columns].astype(object).where(table[columns].notna(), None).to_numpy()
        names = [name.removeprefix(_PREFIX) for name in columns]
        for steps in self._rows.values():
            settings.add(dict(zip(names, plain[next(iter(steps.values()))], strict=True)))
        members = [SourceMember(name, tuple(sorted(steps))) for name, steps in self._rows.items()]
        measured = tuple(name for name in MEASURED if name in table.columns)
        left_out = {"a copy of a state": copies} if copies else {}
        network = recognise(shapes, by_names=False)
        return Found(network, members, settings, self._fingerprint(), measured, left_out=left_out)

    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """One row of the array in torch's order; see `Source.state`."""
        row = self._weights[self._rows[member][epoch]][self._order]
        with np.errstate(over="ignore"):
            narrow: np.ndarray[Any, Any] = row.astype(np.float32)
        if not np.array_equal(narrow, row, equal_nan=True):
            raise InputError(
                f"{WEIGHTS} in {str(self._path)!r} is {row.dtype} and holds numbers that float32 cannot, as for "
                f"{member!r} at epoch {epoch}, and a zoo stores float32: convert the file first."
            )
        return narrow

    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """The measured columns of the table; see `Source.rows`."""
        assert self._table is not None
        measured = [name for name in MEASURED if name in self._table.columns]
        values = self._table[measured].to_numpy(dtype=np.float64)
        return {
            step: dict(zip(measured, values[row].tolist(), strict=True)) for step, row in self._rows[member].items()
        }

    def prepare(self, images: ImageSet) -> ImageSet:
        """The images in grey and scaled to [-1, 1], as the collection was trained; see `Source.prepare`."""
        from geozoo.datasets.images import fingerprint

        train, validation, test = (_grey(split) for split in (images.train, images.validation, images.test))
        half = (0.5,)
        return replace(
            images,
            train=train,
            validation=validation,
            test=test,
            mean=half,
            std=half,
            fingerprint=fingerprint((train, validation, test), images.classes, half, half),
        )

    def _fingerprint(self) -> str:
        fingerprint = Fingerprint()
        fingerprint.add_state(WEIGHTS, self._path / WEIGHTS)
        for name in (LAYOUT, *METRICS):
            fingerprint.add_table(name, self._path / name)
        return fingerprint.hexdigest()

    def _read_metrics(self) -> pd.DataFrame:
        import pandas as pd

        path = next((self._path / name for name in METRICS if (self._path / name).is_file()), None)
        if path is None:
            raise DataNotFoundError(f"there is no {METRICS[0]} in {str(self._path)!r}: it tells which row is what.")
        try:
            table = pd.read_csv(path)
        except (ValueError, OSError, EOFError) as error:
            raise DataCorruptError(f"{str(path)!r} cannot be read as a table: get it again.") from error
        if missing := [name for name in ("modeldir", "step") if name not in table.columns]:
            raise InputError(f"{str(path)!r} has no column {missing[0]!r}, which tells whose state a row is.")
        if len(table) != len(self._weights):
            raise InputError(
                f"{str(path)!r} has {len(table)} rows and {WEIGHTS} {len(self._weights)}: they are of different zoos."
            )
        return table


def read_layout(path: Path) -> tuple[Shapes, np.ndarray[Any, np.dtype[np.int64]]]:
    """Tensors in torch's order and form, and the place in a row of each of their numbers.

    ``row[order]`` is the flat vector: for each layer in the order of the row its kernel, transposed, then its biases.

    Raises:
        InputError: the table does not describe a whole row of kernels and biases.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path).sort_values("start_idx")
        rows = [
            (str(row["varname"]), int(row["start_idx"]), int(row["end_idx"]), _shape(str(row["shape"])))
            for row in table.to_dict("records")
        ]
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise DataCorruptError(f"{str(path)!r} has not the columns varname, start_idx, end_idx and shape.") from error
    ends = [0, *(end for _, _, end, _ in rows)]
    whole = all(start == before for before, (_, start, _, _) in zip(ends, rows, strict=False))
    if not rows or not whole or any(end - start != int(np.prod(shape)) for _, start, end, shape in rows):
        raise InputError(f"the tensors in {str(path)!r} do not follow each other without gaps: get it again.")
    layers: dict[str, dict[str, tuple[int, int, tuple[int, ...]]]] = {}
    for name, start, end, shape in rows:
        layer, _, leaf = name.rpartition("/")
        layers.setdefault(layer, {})[leaf.partition(":")[0]] = (start, end, shape)
    shapes, order = [], []
    for layer, tensors in layers.items():
        for leaf, torch_leaf in (("kernel", "weight"), ("bias", "bias")):
            if leaf in tensors:
                start, end, shape = tensors.pop(leaf)
                places = np.arange(start, end).reshape(shape)
                places = np.moveaxis(places, (-1, -2), (0, 1)) if leaf == "kernel" else places
                shapes.append((f"{layer.replace('/', '.')}.{torch_leaf}", tuple(places.shape)))
                order.append(places.reshape(-1))
        if tensors:
            raise InputError(f"{str(path)!r} has a tensor {next(iter(tensors))!r}, which is neither kernel nor bias.")
    return tuple(shapes), np.concatenate(order).astype(np.int64)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _grey(split: ImageSplit) -> ImageSplit:
    images = split.images
    if images.shape[1] == 3:
        weights = np.asarray(_LUMA, dtype=np.float32)[:, None, None]
        grey = (images.astype(np.float32) * weights).sum(axis=1, keepdims=True)
        images = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return replace(split, images=images)
