"""Feature sets: what a readout sees of a state. One registry, and the embedding of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from geozoo.errors import InputError
from geozoo.weights.spectral import spectral_measures
from geozoo.weights.statistics import layer_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.nets.layout import Layout

MAX_FLAT_PARAMETERS = 100_000
PCA_COMPONENTS = 50
DEFAULT_FEATURES = ("weights", "stats")

Compute = Callable[[np.ndarray, "Layout"], np.ndarray]
Transform = Callable[[np.ndarray], np.ndarray]


class Encoder(Protocol):
    """What a probe needs of a trained hyper-representation."""

    @property
    def layout(self) -> Layout:
        """The layout of the networks it embeds."""

    @property
    def split_by(self) -> str:
        """What was split where it was trained: member, seed or cell."""

    @property
    def train_members(self) -> frozenset[str]:
        """Ids of the members it was trained on."""

    def embed(self, weights: np.ndarray, /) -> np.ndarray:
        """Map weights ``[n, params]`` to embeddings ``[n, k]``."""


@dataclass(frozen=True)
class FeatureSet:
    """Maps weights ``[n, params]`` and their layout to features ``[n, columns]``.

    Attributes:
        name: what it is asked for by.
        title: its column heading.
        compute: state by state, whatever the other states are.
        fit: what is learnt from the training states alone: takes their computed columns and the seed, and returns the
            map from computed columns to features. ``None`` where nothing is learnt.
        flat: whether ``compute`` hands on the weights themselves.
    """

    name: str
    title: str
    compute: Compute
    fit: Callable[[np.ndarray, int], Transform] | None = None
    flat: bool = False


def flat_weights(weights: np.ndarray, layout: Layout) -> np.ndarray:
    """The weights as they are."""
    del layout
    return weights


def fit_principal_components(train: np.ndarray, seed: int) -> Transform:
    """Principal components of training states ``[n, columns]``: at most 50, centred, not whitened.

    scikit-learn's PCA; where there are many states and columns its randomised solver, seeded.
    """
    from sklearn.decomposition import PCA

    components = min(PCA_COMPONENTS, *train.shape)
    fitted = PCA(components, random_state=seed).fit(train)
    return lambda columns: np.asarray(fitted.transform(columns))


FEATURE_SETS: dict[str, FeatureSet] = {
    record.name: record
    for record in (
        FeatureSet("weights", "flat weights", flat_weights, flat=True),
        FeatureSet("pca", "principal components", flat_weights, fit_principal_components, flat=True),
        FeatureSet("stats", "layer statistics", lambda weights, layout: layer_statistics(weights, layout)[0]),
        FeatureSet("spectral", "spectral measures", lambda weights, layout: spectral_measures(weights, layout)[0]),
        FeatureSet("equivariant", "equivariant network", flat_weights, flat=True),
    )
}
EQUIVARIANT = "equivariant"
"""The weights as a network sees them that is trained end to end; no other readout is fitted on them."""
EMBEDDING = "embedding"
FEATURE_NAMES = (*FEATURE_SETS, EMBEDDING)
TITLES = {record.name: record.title for record in FEATURE_SETS.values()} | {EMBEDDING: "embedding"}


def find_feature_sets(names: Sequence[str], layout: Layout, encoder: Encoder | None = None) -> list[FeatureSet]:
    """Look feature sets up by name for networks of one layout.

    Raises:
        InputError: an unknown name, none at all, flat weights of more than 100,000 parameters, or an embedding without
            a model or with a model of other networks.
    """
    if not names:
        raise InputError(f"no feature set is named: choose from {', '.join(FEATURE_NAMES)}.")
    return [_find(name, layout, encoder) for name in dict.fromkeys(names)]


def _find(name: str, layout: Layout, encoder: Encoder | None) -> FeatureSet:
    if name == EMBEDDING:
        return _embedding(layout, encoder)
    if name not in FEATURE_SETS:
        raise InputError(f"{name!r} is no feature set: choose from {', '.join(FEATURE_NAMES)}.")
    found = FEATURE_SETS[name]
    parameters = sum(slot.size for slot in layout)
    if found.flat and parameters > MAX_FLAT_PARAMETERS:
        raise InputError(
            f"{found.title} of {parameters:,} parameters are too wide to probe (at most {MAX_FLAT_PARAMETERS:,}): "
            "use the feature set 'stats'."
        )
    return found


def _embedding(layout: Layout, encoder: Encoder | None) -> FeatureSet:
    if encoder is None:
        raise InputError("the feature set 'embedding' needs a trained model: name one with --model.")
    if encoder.layout != layout:
        raise InputError(
            f"the model was trained on networks of {sum(slot.size for slot in encoder.layout):,} parameters in "
            f"{len(encoder.layout)} tensors, the zoo's have {sum(slot.size for slot in layout):,} in {len(layout)} "
            "and another layout: take a model of the same network."
        )
    return FeatureSet(EMBEDDING, TITLES[EMBEDDING], lambda weights, _: encoder.embed(weights))
