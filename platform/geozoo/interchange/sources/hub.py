"""Folders of timm and Hugging Face checkpoints on this machine: ``config.json`` beside the weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from geozoo.interchange.fingerprint import Fingerprint
from geozoo.interchange.network import Network, Shapes, flat_vector, in_order, recognise, recognise_as
from geozoo.interchange.restricted import inside, load_json
from geozoo.interchange.settings import Settings
from geozoo.interchange.sources.files import UNKNOWN_EPOCH
from geozoo.interchange.sources.source import Found, Source, SourceMember, most_common
from geozoo.interchange.sources.statefile import read_shapes, read_state
from geozoo.nets.registry import OWN, TIMM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch

CONFIG = "config.json"
WHOLE = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
TIMM_SIZE = 224
"""Side of the images of a timm network whose configuration does not tell it."""

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


class HubSource(Source):
    """One checkpoint's folder, or a folder of such folders: ``config.json`` and weights, whole or in shards.

    Every checkpoint is a member with one state, at epoch 1, since nothing tells its epoch. The words and numbers of
    ``config.json`` are its settings. Those of timm name their ``architecture``: where all are of one that has these
    tensors, it is the network ``timm/<architecture>``, with activations of its own. An index of shards may name files
    of its own folder only; nothing is downloaded.
    """

    kind = "hub"
    settings_names: ClassVar[Mapping[str, str]] = {"activation": "activation"}
    metric_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataNotFoundError(f"there is no folder {str(path)!r}: give a checkpoint's folder, or one of several.")
        self.name = path.resolve().name
        self._root = path
        self._folders: dict[str, Path] = {}
        self._form: Shapes = ()

    def look(self, on_step: Callable[[str, int, int], None]) -> Found:
        """Read the configurations and the shapes; see `Source.look`."""
        alone = (self._root / CONFIG).is_file()
        folders = [self._root] if alone else sorted(path.parent for path in self._root.rglob(CONFIG))
        if not folders:
            raise InputError(f"{str(self._root)!r} holds no {CONFIG}: give the folder of a timm or Hugging Face model.")
        configs: dict[str, dict[str, Any]] = {}
        shapes: dict[str, Shapes] = {}
        for done, folder in enumerate(folders):
            on_step("checkpoints", done, len(folders))
            name = self.name if alone else folder.relative_to(self._root).as_posix()
            self._folders[name] = folder
            shapes[name] = tuple(shape for path in weight_files(folder) for shape in read_shapes(path))
            config = load_json(folder / CONFIG)
            configs[name] = config if isinstance(config, dict) else {}
        form = most_common(Counter(shapes.values()))
        kept = [name for name in shapes if shapes[name] == form]
        different = [name for name in shapes if shapes[name] != form]
        of_timm = _timm_network([configs[name] for name in kept], form)
        network = of_timm or recognise(form)
        self._form = in_order(network, form)
        settings = Settings(self.settings_names)
        for name in kept:
            settings.add(_scalars(configs[name]) | ({"activation": OWN} if of_timm else {}))
        members = [SourceMember(name, (UNKNOWN_EPOCH,)) for name in kept]
        left_out = {"another network": different} if different else {}
        keys = (tuple(name for name, _ in self._form),)
        return Found(network, members, settings, self._fingerprint(), (), keys, left_out)

    def _fingerprint(self) -> str:
        fingerprint = Fingerprint()
        for name, folder in self._folders.items():
            for table in (CONFIG, *INDEXES):
                fingerprint.add_table(f"{name}/{table}", folder / table)
            for path in weight_files(folder):
                fingerprint.add_state(f"{name}/{path.name}", path)
        return fingerprint.hexdigest()

    def state(self, member: str, epoch: int) -> np.ndarray[Any, Any]:
        """The tensors of a checkpoint; see `Source.state`."""
        state: dict[str, torch.Tensor] = {}
        for path in weight_files(self._folders[member]):
            state |= read_state(path)
        return flat_vector(state, self._form, repr(str(self._folders[member])))

    def rows(self, member: str) -> dict[int, dict[str, float]]:
        """Nothing: checkpoints carry no metrics that can be trusted to be theirs."""
        return {}


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, all in its folder.

    Raises:
        DataNotFoundError: there are none.
        UnsafeFileError: an index names a file elsewhere.
    """
    for name in WHOLE:
        if (folder / name).is_file():
            return [folder / name]
    for name in INDEXES:
        if (folder / name).is_file():
            index = load_json(folder / name)
            named = index.get("weight_map") if isinstance(index, dict) else None
            if not isinstance(named, dict) or not all(isinstance(file, str) for file in named.values()):
                raise DataCorruptError(f"{str(folder / name)!r} has no weight_map of tensors to files: get it again.")
            return [inside(folder, file) for file in sorted(set(named.values()))]
    raise DataNotFoundError(f"there are no weights in {str(folder)!r}: looked for {', '.join((*WHOLE, *INDEXES))}.")


def _timm_network(configs: Sequence[Mapping[str, Any]], shapes: Shapes) -> Network | None:
    """The network that all configurations name, if it is one of timm and has these tensors."""
    models = {str(config.get("architecture")) for config in configs}
    if len(models) != 1:
        return None
    about = configs[0].get("pretrained_cfg")
    size = about.get("input_size", [TIMM_SIZE])[-1] if isinstance(about, dict) else TIMM_SIZE
    try:
        return recognise_as(f"{TIMM_PREFIX}{models.pop()}", int(size), shapes)
    except (TypeError, ValueError):
        return None


def _scalars(config: Mapping[str, Any]) -> dict[str, Any]:
    """Words and numbers of a configuration."""
    return {name: value for name, value in config.items() if isinstance(value, str | int | float)}
