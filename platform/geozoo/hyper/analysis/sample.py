"""The states an analysis looks at, as points in several spaces, with their properties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geozoo.hyper.probing.features import MAX_FLAT_PARAMETERS
from geozoo.hyper.probing.targets import Target, collect_targets
from geozoo.weights.statistics import layer_statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from geozoo.hyper.probing.states import Population, Progress
    from geozoo.store import Zoo

Embed = Callable[["NDArray[np.float32]"], "NDArray[Any]"]
"""Maps weights ``[n, params]`` to their embeddings ``[n, k]``."""

Item = TypeVar("Item")

SPACES = {"weights": "weights W", "stats": "layer statistics s(W)", "embedding": "embedding of the model"}
MAX_STATES = 4_000
MAX_FLAT_SCALARS = 50_000_000
MAX_READ_SCALARS = 2_000_000_000

_CHUNK_SCALARS = 16_000_000


@dataclass(frozen=True)
class Sample:
    """Some members at some epochs: M members (the rows of ``members``), C epochs.

    ``spaces`` maps a name of `SPACES` to points ``[M, C, k]``; ``properties`` have flat values ``[M * C]``, members
    first. Layer statistics have other units each, so their columns are divided by their standard deviation over the
    sample; weights and embeddings are as they are.
    """

    members: pd.DataFrame
    epochs: tuple[int, ...]
    spaces: Mapping[str, NDArray[Any]]
    properties: tuple[Target, ...]

    def values(self, name: str) -> NDArray[Any]:
        """The values ``[M, C]`` of one property."""
        found = next(target for target in self.properties if target.name == name)
        return found.values.reshape(len(self.members), len(self.epochs))


def draw_members(count: int, checkpoints: int, parameters: int, seed: int) -> tuple[NDArray[np.intp], int]:
    """Rows of the members to look at, ascending, and how many epochs of each: at most 4,000 states together.

    Wide networks get fewer: 50 million scalars where the weights themselves are kept (up to 100,000 parameters), two
    billion read where only their statistics are.
    """
    scalars = MAX_FLAT_SCALARS if parameters <= MAX_FLAT_PARAMETERS else MAX_READ_SCALARS
    most = max(2, min(MAX_STATES, scalars // parameters))
    rows = np.random.default_rng(seed).permutation(count)[: max(1, most // min(2, checkpoints))]
    return np.sort(rows), max(1, min(checkpoints, most // len(rows)))


def spread_evenly(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """``count`` items at even distances, the last always among them and from two on the first too."""
    if count == 1:
        return (items[-1],)
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return tuple(items[place] for place in places)


def read_sample(
    zoo: Zoo,
    population: Population,
    rows: NDArray[np.intp],
    epochs: tuple[int, ...],
    embed: Embed | None,
    progress: Progress,
) -> Sample:
    """Read states and turn them into points: weights (up to 100,000 parameters), layer statistics, embeddings.

    Args:
        zoo: an open zoo.
        population: its usable members and their metrics.
        rows: rows of ``population.members``.
        epochs: stored epochs.
        embed: a trained model's embedding, if there is one.
        progress: called with what is being done, how much is done, and how much there is.
    """
    import pandas as pd

    members = population.members.iloc[rows].reset_index(drop=True)
    shape = (len(members), len(epochs))
    every = members.loc[np.repeat(np.arange(len(members)), len(epochs))].reset_index(drop=True)
    index = pd.MultiIndex.from_arrays([every["member"], np.tile(epochs, len(members))], names=["member", "epoch"])
    targets, _ = collect_targets(every, population.metrics.reindex(index).reset_index())
    points = _points(zoo, every["member"].tolist(), np.tile(epochs, len(members)).tolist(), embed, progress)
    spaces = {name: values.reshape(*shape, -1) for name, values in points.items()}
    return Sample(members, epochs, spaces, tuple(targets))


def standardise(sample: Sample, like: Sample) -> Sample:
    """Divide the layer statistics by their standard deviation over another sample; constant columns stay."""
    columns = like.spaces["stats"].reshape(-1, like.spaces["stats"].shape[-1])
    scale = columns.std(axis=0)
    stats = sample.spaces["stats"] / np.where(scale > 0, scale, 1.0)
    return Sample(sample.members, sample.epochs, {**sample.spaces, "stats": stats}, sample.properties)


def _points(
    zoo: Zoo, members: list[str], epochs: list[int], embed: Embed | None, progress: Progress
) -> dict[str, NDArray[Any]]:
    """Points ``[n, k]`` by space, read in chunks."""
    chunk = max(1, _CHUNK_SCALARS // zoo.header.num_parameters)
    parts: dict[str, list[NDArray[Any]]] = {}
    for start in range(0, len(members), chunk):
        progress("reading states", start, len(members))
        weights = zoo.states(members[start : start + chunk], epochs[start : start + chunk])
        if weights.shape[1] <= MAX_FLAT_PARAMETERS:
            parts.setdefault("weights", []).append(weights)
        parts.setdefault("stats", []).append(layer_statistics(weights, zoo.layout)[0])
        if embed is not None:
            parts.setdefault("embedding", []).append(np.asarray(embed(weights)).reshape(len(weights), -1))
    return {name: np.concatenate(parts[name]) for name in SPACES if name in parts}
