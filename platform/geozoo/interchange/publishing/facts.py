"""What the documents of a published zoo say about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.recipe import HYPERPARAMETERS
from geozoo.store import split_of
from geozoo.store.split import SPLITS

if TYPE_CHECKING:
    from geozoo.interchange.publishing.edition import Edition
    from geozoo.store import Zoo, ZooHeader


@dataclass(frozen=True)
class Facts:
    """A zoo to be published, in the numbers that its documents share.

    ``address`` is where it will be opened; ``splits`` members by split; ``varying`` the hyper-parameters that vary;
    ``accuracy`` the median test accuracy at the last checkpoint, where there is such a metric; ``root`` that of the
    hash tree.
    """

    header: ZooHeader
    edition: Edition
    address: str
    members: int
    splits: dict[str, int]
    varying: tuple[str, ...]
    metrics: tuple[str, ...]
    accuracy: float | None
    digest: str
    root: str

    @property
    def key(self) -> str:
        """A name of letters, digits, ``-`` and ``_``."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.header.name).strip("_") or "zoo"

    @property
    def states(self) -> int:
        """How many states are stored."""
        return self.members * len(self.header.checkpoints)

    @property
    def images(self) -> str:
        """The name of the image set."""
        return str(self.header.dataset.get("name", "unknown"))

    @property
    def network(self) -> str:
        """The name of the network."""
        return str(self.header.recipe.get("network", {}).get("name", "unknown"))

    @property
    def description(self) -> str:
        """The zoo in two or three sentences."""
        header = self.header
        varying = ", ".join(name.replace("_", " ") for name in self.varying)
        first, last = header.checkpoints[0], header.checkpoints[-1]
        sentences = [
            f"A population of {self.members:,} neural networks of the kind {self.network} "
            f"({header.num_parameters:,} parameters each), trained on {self.images} ({len(self.classes)} classes); "
            f"they differ in {varying + ' and ' if varying else ''}seed.",
            f"The weights of each are given at {len(header.checkpoints)} checkpoints, epochs {first} to {last}, with "
            "losses and accuracies.",
        ]
        if self.accuracy is not None:
            sentences.append(f"At epoch {last} the median test accuracy is {self.accuracy:.1%}.")
        return " ".join(sentences)

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return [str(name) for name in self.header.dataset.get("classes", ())]

    @property
    def source(self) -> str | None:
        """What the recipe names as its source."""
        text = (self.header.recipe.get("provenance") or {}).get("source")
        return str(text) if text else None


def collect_facts(zoo: Zoo, header: ZooHeader, edition: Edition, address: str, root: str) -> Facts:
    """Collect the facts of a finished zoo; reads the metrics of one checkpoint."""
    metrics = zoo.read_metrics(epochs=zoo.checkpoints[-1], members=0)
    names = tuple(str(name) for name in metrics.columns if name not in ("member", "epoch"))
    splits = [split_of(member) for member in zoo.members["member"]]
    return Facts(
        header=header,
        edition=edition,
        address=address,
        members=len(zoo.members),
        splits={split: splits.count(split) for split in SPLITS},
        varying=tuple(name for name in HYPERPARAMETERS if zoo.members[name].nunique() > 1),
        metrics=names,
        accuracy=_median_accuracy(zoo) if "test_accuracy" in names else None,
        digest=zoo.digest(),
        root=root,
    )


def _median_accuracy(zoo: Zoo) -> float | None:
    values = zoo.read_metrics(["test_accuracy"], epochs=zoo.checkpoints[-1])["test_accuracy"].dropna()
    return float(values.median()) if len(values) else None


def public_header(header: ZooHeader) -> ZooHeader:
    """The header without this machine's folders: of an absolute path in the recipe its last part remains."""
    dataset: dict[str, Any] = dict(header.recipe.get("dataset") or {})
    path = dataset.get("path")
    if not isinstance(path, str) or not path.startswith(("/", "~")):
        return header
    recipe = {**header.recipe, "dataset": {**dataset, "path": path.rstrip("/").rpartition("/")[2]}}
    return header.model_copy(update={"recipe": recipe})
