"""Where the members of a zoo lie in the embedding of a trained hyper-representation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.report.browser.tables import encode_embeddings

if TYPE_CHECKING:
    from geozoo.hyper.probing.states import Progress
    from geozoo.hyper.trained import TrainedModel
    from geozoo.store import Zoo

AXES = 4
_STATES_AT_ONCE = 512


def embed_members(zoo: Zoo, model: TrainedModel, progress: Progress | None = None) -> bytes:
    """The embedding table of the committed members at the last epoch: principal components of their embeddings.

    Members whose weights are not finite are left out.

    Raises:
        InputError: the model does not read networks of this layout, or fewer than three members can be embedded.
    """
    from sklearn.decomposition import PCA

    number, last = model.zoo_of(zoo.layout), zoo.checkpoints[-1]
    rows = np.flatnonzero(zoo.members["committed"])
    kept, embedded = [], []
    for start in range(0, len(rows), _STATES_AT_ONCE):
        part = rows[start : start + _STATES_AT_ONCE]
        weights = zoo.states(part, last)
        finite = np.isfinite(weights).all(axis=1)
        kept.append(part[finite])
        embedded.append(model.embed(weights[finite], number))
        if progress:
            progress("embed members", start + len(part), len(rows))
    points = np.concatenate(embedded) if embedded else np.empty((0, 0))
    if len(points) < AXES:
        raise InputError(f"{len(points)} members of {zoo.url} can be embedded: a map needs at least {AXES}.")
    places = PCA(min(AXES, points.shape[1]), random_state=0).fit_transform(points.astype(np.float64))
    axes = {f"component {axis + 1}": places[:, axis] for axis in range(places.shape[1])}
    return encode_embeddings(zoo.members["member"].iloc[np.concatenate(kept)], last, axes)
