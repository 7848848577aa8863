"""Which chips are learned from, which choose, and which are only scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geozoo.eo.chips import Chips
    from geozoo.ssl.experiment import SplitSettings

Rows = np.ndarray[Any, np.dtype[np.int64]]

_READ = 1024


@dataclass(frozen=True)
class Parts:
    """Numbers of chips, each part sorted, none in two."""

    train: Rows
    validation: Rows
    test: Rows


def split_chips(chips: Chips, settings: SplitSettings) -> Parts:
    """Part the chips of a store; the same store and settings give the same parts.

    Chips with pixels that were not measured are left out of training and validation, never out of the test.

    Raises:
        InputError: a part is empty, or ``shift`` is asked of chips without a class each.
    """
    index = chips.index
    scenes, names = _numbered(index["scene"].tolist())
    generator = np.random.default_rng([settings.seed, 7])
    if settings.by == "given":
        parts = _given(index["split"].tolist(), scenes, settings.validation, generator)
    elif settings.by == "shift":
        parts = _shifted(chips, scenes, settings, generator)
    else:
        parts = _drawn(scenes, np.arange(len(scenes)), settings.validation, settings.test, generator)
    whole = index["valid"].to_numpy() == 1.0
    kept = Parts(parts.train[whole[parts.train]], parts.validation[whole[parts.validation]], parts.test)
    for name in ("train", "validation", "test"):
        if not len(getattr(kept, name)):
            raise InputError(
                f"the {name} part of {chips.url} split by {settings.by!r} is empty ({len(chips)} chips of "
                f"{len(names)} scenes): change split.by, split.validation or split.test, or ingest more scenes"
            )
    return kept


def chip_labels(chips: Chips) -> Rows:
    """The class of every chip (of most pixels where it only has a mask), -1 where there is none."""
    return chips.index["label"].fillna(-1).to_numpy(np.int64)


def chip_groups(chips: Chips) -> Rows:
    """The class of every chip, or where some have none its scene, as a number."""
    labels = chip_labels(chips)
    return labels if (labels >= 0).all() else _numbered(chips.index["scene"].tolist())[0]


def colour_statistics(chips: Chips, modality: str, rows: Rows) -> NDArray[np.float64]:
    """Mean and standard deviation of every band of each chip, ``[n, 2 * bands]``."""
    parts = [chips.read(modality, rows[start : start + _READ]) for start in range(0, len(rows), _READ)]
    moments = [np.concatenate([part.mean((2, 3)), part.std((2, 3))], axis=1) for part in parts]
    return np.concatenate(moments).astype(np.float64)


def _numbered(scenes: Sequence[str]) -> tuple[Rows, list[str]]:
    names = sorted(set(scenes))
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[scene] for scene in scenes], np.int64), names


def _drawn(scenes: Rows, rows: Rows, validation: float, test: float, generator: np.random.Generator) -> Parts:
    """Whole scenes in random order: test first, then validation, by shares of the chips in ``rows``.

    Where a large scene gives the test the share of validation too, validation has the next scene.
    """
    order = generator.permutation(np.unique(scenes[rows]))
    sizes = np.bincount(scenes[rows], minlength=int(scenes.max()) + 1)[order]
    before = np.cumsum(sizes) - sizes
    held, chosen = round(test * len(rows)), round((test + validation) * len(rows))
    tested = before < held
    until = max(chosen, sizes[tested].sum() + (chosen > held))
    part = np.full(int(scenes.max()) + 1, -1)
    part[order] = np.where(tested, 2, np.where(before < until, 1, 0))
    return Parts(*(rows[part[scenes[rows]] == number] for number in (0, 1, 2)))


def _given(splits: Sequence[Any], scenes: Rows, validation: float, generator: np.random.Generator) -> Parts:
    parts = {name: np.flatnonzero([split == name for split in splits]) for name in ("train", "validation", "test")}
    if len(parts["validation"]) or not len(parts["train"]):
        return Parts(**parts)
    cut = _drawn(scenes, parts["train"], validation, 0.0, generator)
    return Parts(cut.train, cut.validation, parts["test"])


def _shifted(chips: Chips, scenes: Rows, settings: SplitSettings, generator: np.random.Generator) -> Parts:
    """Of each class whole clusters of colour statistics go to the test, until its share is reached; the rest is drawn.

    The clusters are those of k-means on standardised means and deviations of the bands of the first modality. Clustered
    are scenes, by the mean of their chips' statistics and the class of most of their chips.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    labels, everyone = chip_labels(chips), np.arange(len(chips))
    if (labels < 0).any():
        raise InputError(f"a shift split needs one class for every chip of {chips.url}: choose split.by=random")
    chip_statistics = colour_statistics(chips, next(iter(chips.header.arrays)), everyone)
    sizes = np.bincount(scenes)
    sums = np.stack([np.bincount(scenes, column) for column in chip_statistics.T], axis=1)
    statistics = StandardScaler().fit_transform(sums / sizes[:, None])
    votes = np.zeros((len(sizes), labels.max() + 1), np.int64)
    np.add.at(votes, (scenes, labels), 1)
    held = np.zeros(len(sizes), bool)
    for label in np.unique(votes.argmax(1)):
        rows = np.flatnonzero(votes.argmax(1) == label)
        count = min(settings.clusters, len(rows))
        clusters = KMeans(count, n_init=4, random_state=settings.seed).fit_predict(statistics[rows])
        for cluster in generator.permutation(count):
            if sizes[rows[held[rows]]].sum() >= settings.test * sizes[rows].sum():
                break
            held[rows[clusters == cluster]] = True
    rest = np.flatnonzero(~held[scenes])
    share = settings.validation / (1 - settings.test)
    cut = _drawn(scenes, rest, share, 0.0, generator)
    return Parts(cut.train, cut.validation, np.flatnonzero(held[scenes]))
