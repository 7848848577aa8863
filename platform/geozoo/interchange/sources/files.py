"""A folder of state files: safetensors or ``torch.save``, with a table that says what they are, or without."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from geozoo.interchange.fingerprint import Fingerprint
from geozoo.interchange.names import HYPERPARAMETER_NAMES, METRIC_NAMES
from geozoo.interchange.network import Shapes, flat_vector, in_order, recognise
from geozoo.interchange.restricted import inside
from geozoo.interchange.settings import Settings
from geozoo.interchange.sources.source import Found, Source, SourceMember, most_common
from geozoo.interchange.sources.statefile import STATE_SUFFIXES, read_shapes, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".parquet")
UNKNOWN_EPOCH = 1
"""Epoch of a state that nothing tells the epoch of; 0 would make it an initialisation."""


class FilesSource(Source):
    """State files in one folder.

    A table beside them, one ``.csv`` or ``.parquet``, has a row for each file: its ``file``, and if it likes the
    ``member`` (by default the name of the file), the ``epoch`` (by default 1), settings and metrics. A column is a
    metric if it is called as one is, here or in the published zoos, or ends in ``accuracy`` or ``loss``; others are
    settings. Without a table every file is a member.
    """

    kind = "files"
    settings_names: ClassVar[Mapping[str, str]] = {
        **HYPERPARAMETER_NAMES,
        **{name: name for name in HYPERPARAMETER_NAMES.values()},
        "init_std": "init_std",
    }
    metric_names: ClassVar[Mapping[str, str]] = METRIC_NAMES

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataNotFoundError(f"there is no folder {str(path)!r}: give the folder that holds the files.")
        self.name = path.resolve().name
        self._root = path
        self._files: dict[str, dict[int, Path]] = {}
        self._rows: dict[str, dict[int, dict[str, float]]] = {}
        self._shapes: dict[str, Shapes] = {}
        self._form: Shapes = ()

    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Read the table and the first state of every member; see `Source.look`."""
        table = self._table()
        metrics = tuple(name for name in table.columns if is_metric(name))
        others = [name for name in table.columns if name not in (*metrics, "file", "member", "epoch")]
        settings = Settings(self.settings_names)
        for row in table.to_dict("records"):
            member, epoch = str(row["member"]), int(row["epoch"])
            path = inside(self._root, str(row["file"]))
            if member not in self._files:
                settings.add({name: None if row[name] != row[name] else row[name] for name in others})
            if epoch in self._files.setdefault(member, {}):
                raise InputError(f"the table names two files for member {member!r} at epoch {epoch}: keep one.")
            self._files[member][epoch] = path
            self._rows.setdefault(member, {})[epoch] = {name: float(row[name]) for name in metrics}
        for done, (member, files) in enumerate(self._files.items()):
            on_step("files", done, len(self._files))
            self._shapes[member] = read_shapes(next(iter(files.values())))
        form = most_common(Counter(self._shapes.values()))
        names = list(self._files)
        kept = [number for number, name in enumerate(names) if self._shapes[name] == form]
        members = [SourceMember(names[number], tuple(sorted(self._files[names[number]]))) for number in kept]
        different = [name for name in names if self._shapes[name] != form]
        network = recognise(form)
        self._form = in_order(network, form)
        left_out = {"another network": different} if different else {}
        keys = (tuple(name for name, _ in self._form),)
        return Found(network, members, settings.take(kept), self._fingerprint(), metrics, keys, left_out)

    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """One file; see `Source.state`."""
        path = self._files[member][epoch]
        return flat_vector(read_state(path), self._form, repr(str(path)))

    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """The metrics of the table; see `Source.rows`."""
        return self._rows[member]

    def _fingerprint(self) -> str:
        fingerprint = Fingerprint()
        for table in self._tables():
            fingerprint.add_table(table.name, table)
        for member, files in self._files.items():
            for epoch, path in files.items():
                fingerprint.add_state(f"{member} at epoch {epoch}", path)
        return fingerprint.hexdigest()

    def _tables(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if path.suffix in TABLE_SUFFIXES)

    def _table(self) -> pd.DataFrame:
        import pandas as pd

        tables = self._tables()
        if len(tables) > 1:
            raise InputError(f"{str(self._root)!r} holds {len(tables)} tables: keep the one that names the files.")
        if not tables:
            files = sorted(path for path in self._root.rglob("*") if path.suffix in STATE_SUFFIXES and path.is_file())
            if not files:
                raise InputError(
                    f"{str(self._root)!r} holds no file of {', '.join(STATE_SUFFIXES)}: nothing to import."
                )
            table = pd.DataFrame({"file": [path.relative_to(self._root).as_posix() for path in files]})
        else:
            table = _read_table(tables[0])
        if "file" not in table.columns or table.empty:
            raise InputError(f"the table in {str(self._root)!r} needs a column 'file' and at least one row.")
        if "member" not in table.columns:
            table["member"] = [Path(str(name)).with_suffix("").as_posix() for name in table["file"]]
        if "epoch" not in table.columns:
            table["epoch"] = UNKNOWN_EPOCH
        return table


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError, EOFError) as error:
        raise DataCorruptError(f"{str(path)!r} cannot be read as a table: get it again.") from error


def is_metric(name: str) -> bool:
    """Whether a column is a metric, by its name."""
    known = {*METRIC_NAMES, *METRIC_NAMES.values()}
    return name in known or name.endswith(("accuracy", "loss"))
