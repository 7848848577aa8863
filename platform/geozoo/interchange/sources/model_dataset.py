"""The preprocessed ``.pt`` file of a published zoo: pickled data sets, read as data."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from geozoo.interchange.fingerprint import Fingerprint
from geozoo.interchange.names import BOOKKEEPING, METRIC_NAMES, NOT_EVALUATED
from geozoo.interchange.network import Network, Shapes, flat_vector, in_order, recognise, recognise_vector, shapes_of
from geozoo.interchange.restricted import load_tensors
from geozoo.interchange.settings import SPLIT, Settings
from geozoo.interchange.sources.source import Found, Source, SourceMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

MODEL_DATASET_CLASSES = tuple(
    f"{package}{module}"
    for package in ("", "ghrp.", "SANE.", "src.")
    for module in (
        "checkpoints_to_datasets.dataset_base.ModelDatasetBase",
        "checkpoints_to_datasets.dataset_simclr.SimCLRDataset",
        "checkpoints_to_datasets.dataset_ghrp.SimCLRDataset",
        "datasets.dataset_base.ModelDatasetBase",
        "datasets.dataset_simclr.SimCLRDataset",
        "dataset_base.ModelDatasetBase",
        "dataset_simclr.SimCLRDataset",
    )
)
"""Names under which published files hold their data sets."""

SPLITS = {"trainset": "train", "valset": "validation", "testset": "test"}


class ModelDatasetSource(Source):
    """A dictionary of ``trainset``, ``valset`` and ``testset``, each a data set of states with their properties.

    Read are ``data_in`` (states, or flat vectors), ``paths``, ``epochs`` and ``properties``; all states of one path are
    one member, and of a state that is there twice (permuted copies) the first counts. Properties named with ``::``, and
    the seed, are settings, other numbers are metrics.
    """

    kind = "pt"
    metric_names: ClassVar[Mapping[str, str]] = METRIC_NAMES

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataNotFoundError(f"there is no file {str(path)!r}: give the .pt file of a preprocessed zoo.")
        self.name = path.name
        self._path = path
        self._parts: dict[str, Any] = {}
        self._where: dict[str, dict[int, tuple[str, int]]] = {}
        self._shapes: Shapes = ()
        self._metrics: tuple[str, ...] = ()

    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Open the file, its tensors staying on disk where it is a zip; see `Source.look`."""
        on_step("file", 0, 1)
        loaded = load_tensors(self._path, MODEL_DATASET_CLASSES, mapped=True)
        parts = loaded if isinstance(loaded, dict) else {"trainset": loaded}
        attributes = {SPLITS[key]: _attributes(part) for key, part in parts.items() if key in SPLITS}
        self._parts = {split: part for split, part in attributes.items() if _is_dataset(part, self._path)}
        if not self._parts:
            raise InputError(
                f"{str(self._path)!r} holds no data set of models (data_in, paths, epochs): give a preprocessed zoo, "
                "or import its raw folder with geozoo import tune."
            )
        copies, split_of = self._locate()
        names = list(dict.fromkeys(name for part in self._parts.values() for name in part.get("properties") or ()))
        self._metrics = tuple(name for name in names if not _is_setting(name) and self._is_numeric(name))
        settings = Settings(self.settings_names)
        members = []
        for member, states in self._where.items():
            part, row = next(iter(states.values()))
            settings.add({SPLIT: split_of[member]} | self._settings(names, part, row))
            members.append(SourceMember(member, tuple(sorted(states))))
        left_out = {"a copy of a state": copies} if copies else {}
        network = self._network()
        keys = (tuple(name for name, _ in self._shapes),) if self._shapes else ()
        fingerprint = Fingerprint()
        fingerprint.add_state(self.name, self._path)
        return Found(network, members, settings, fingerprint.hexdigest(), self._metrics, keys, left_out)

    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """One entry of ``data_in``; see `Source.state`."""
        part, row = self._where[member][epoch]
        state = self._parts[part]["data_in"][row]
        if self._shapes:
            return flat_vector(state, self._shapes, f"{member} at epoch {epoch}")
        return flat_vector({"": state}, (("", tuple(self._first_state().shape)),), f"{member} at epoch {epoch}")

    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """The properties that are numbers; see `Source.rows`."""
        rows = {}
        for epoch, (part, row) in self._where[member].items():
            properties = self._parts[part].get("properties") or {}
            rows[epoch] = {name: _number(properties[name][row]) for name in self._metrics if name in properties}
        return rows

    def _locate(self) -> tuple[list[str], dict[str, str]]:
        """Find the states of every member; gives what is there twice, and the split of every member."""
        paths = [PurePath(str(path)) for part in self._parts.values() for path in part["paths"]]
        short: dict[str, set[PurePath]] = defaultdict(set)
        for path in set(paths):
            short[path.name].add(path)
        unique = all(len(same) == 1 for same in short.values())
        copies: list[str] = []
        split_of: dict[str, str] = {}
        for split, part in self._parts.items():
            for row, (path, epoch) in enumerate(zip(part["paths"], part["epochs"], strict=True)):
                member = PurePath(str(path)).name if unique else str(path)
                if int(epoch) in self._where.setdefault(member, {}):
                    copies.append(f"{member} at epoch {int(epoch)}")
                    continue
                self._where[member][int(epoch)] = (split, row)
                split_of.setdefault(member, split)
        return copies, split_of

    def _settings(self, names: Sequence[str], part: str, row: int) -> dict[str, Any]:
        properties = self._parts[part].get("properties") or {}
        chosen = [name for name in names if name in properties and name not in (*self._metrics, *BOOKKEEPING)]
        return {name: properties[name][row] for name in chosen}

    def _is_numeric(self, name: str) -> bool:
        columns = [part["properties"].get(name, ()) for part in self._parts.values() if part.get("properties")]
        values = [value for column in columns for value in column]
        return name not in BOOKKEEPING and all(_number(value) is not None for value in values)

    def _first_state(self) -> Any:
        part, row = next(iter(next(iter(self._where.values())).values()))
        return self._parts[part]["data_in"][row]

    def _network(self) -> Network:
        state = self._first_state()
        if isinstance(state, dict):
            network = recognise(shapes_of(state))
            self._shapes = in_order(network, shapes_of(state))
            return network
        if not hasattr(state, "shape") or len(state.shape) != 1:
            raise InputError(f"the states in {str(self._path)!r} are neither state_dicts nor flat vectors.")
        return recognise_vector(int(state.shape[0]))


def _attributes(part: Any) -> dict[str, Any]:
    """Of a data set, pickled as an object or kept as a dictionary."""
    return part if isinstance(part, dict) else getattr(part, "__dict__", {})


def _is_dataset(part: dict[str, Any], path: Path) -> bool:
    """Whether there are states in it; lists that do not fit each other are damage."""
    if not {"data_in", "paths", "epochs"} <= part.keys():
        return False
    aligned = [part["data_in"], part["paths"], part["epochs"], *(part.get("properties") or {}).values()]
    if len({len(values) for values in aligned}) > 1:
        raise DataCorruptError(f"a split in {str(path)!r} has lists of different lengths: get the file again.")
    return len(part["data_in"]) > 0


def _is_setting(name: str) -> bool:
    return "::" in name or name == "seed"


def _number(value: Any) -> Any:
    """A number as a float, NaN where the published files say that there was nothing to measure; None for no number."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float("nan") if value <= NOT_EVALUATED else float(value)
