"""The kinds of zoos that can be imported: one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geozoo.interchange.sources.source import Source


@dataclass(frozen=True)
class Importer:
    """One kind: its name, what it reads in a few words, what the source is, and how it is opened."""

    kind: str
    summary: str
    source: str
    open: Callable[[Path], Source]


def _tune(path: Path) -> Source:
    from geozoo.interchange.sources.tune import TuneSource

    return TuneSource(path)


def _pt(path: Path) -> Source:
    from geozoo.interchange.sources.model_dataset import ModelDatasetSource

    return ModelDatasetSource(path)


def _unterthiner(path: Path) -> Source:
    from geozoo.interchange.sources.unterthiner import UnterthinerSource

    return UnterthinerSource(path)


def _files(path: Path) -> Source:
    from geozoo.interchange.sources.files import FilesSource

    return FilesSource(path)


def _hub(path: Path) -> Source:
    from geozoo.interchange.sources.hub import HubSource

    return HubSource(path)


IMPORTERS = {
    importer.kind: importer
    for importer in (
        Importer(
            "tune", "the raw folder of a zoo made by Ray Tune", "the folder that holds one folder per trial", _tune
        ),
        Importer("pt", "the preprocessed .pt file of a published zoo", "that file", _pt),
        Importer(
            "unterthiner",
            "the Small CNN Zoo",
            "the folder with weights.npy, metrics.csv.gz and layout.csv",
            _unterthiner,
        ),
        Importer("files", "safetensors or state-dict files", "the folder of files, with a table or without", _files),
        Importer(
            "hub",
            "timm or Hugging Face checkpoints",
            "a folder with config.json and weights, or one of such folders",
            _hub,
        ),
    )
}
