"""A trained system on disk or S3: three objects, no pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save

from geozoo.eo.chips.header import ChipHeader
from geozoo.errors import DamagedZooError, InputError
from geozoo.ssl.augment import Geometry
from geozoo.ssl.experiment import SslExperiment
from geozoo.ssl.views import build_views
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from geozoo.ssl.views import Views
    from geozoo.store import Location

MODEL_NAME, WEIGHTS_NAME, SEEN_NAME = "model.json", "model.safetensors", "scenes.json"


class SslCard(BaseModel):
    """``model.json``: all that is needed to use the weights beside it, and to know what they come from.

    Attributes:
        kind: always ``ssl``.
        experiment: how it was trained.
        chips: the header of the store it was trained on: bands, sizes, classes.
        history: the record of every epoch.
        best_epoch: that whose weights are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: Literal["ssl"] = "ssl"
    experiment: SslExperiment
    chips: ChipHeader
    history: tuple[dict[str, float], ...]
    best_epoch: int


@dataclass(frozen=True)
class TrainedViews:
    """Trained encoders with their card.

    Attributes:
        url: where they lie.
        card: see `SslCard`.
        views: the encoders.
        digest: SHA-256 of their weights file.
        scenes: names of all that they were trained on or chosen by.
    """

    url: str
    card: SslCard
    views: Views
    digest: str
    scenes: frozenset[str]

    @property
    def device(self) -> str:
        """Where the encoders are, and pixels must be."""
        return str(next(self.views.parameters()).device)

    def embed(self, pixels: Mapping[str, Tensor]) -> Tensor:
        """Vectors ``[n, sum of widths]`` of chips, the views side by side, in evaluation mode; no gradient."""
        return embed(self.views, self.card.experiment, pixels)


def embed(views: Views, experiment: SslExperiment, pixels: Mapping[str, Tensor]) -> Tensor:
    """What the encoders make of whole (or centre-cropped) chips; the views must be in evaluation mode."""
    vectors = []
    with torch.no_grad():
        for _, view in views.each():
            stacked = view.stack(pixels)
            geometry = Geometry.centred(experiment.augmentation, len(stacked), stacked.device)
            vectors.append(view(geometry(stacked)))
    return torch.cat(vectors, dim=1)


def save_views(location: Location, card: SslCard, views: Views, scenes: Collection[str]) -> None:
    """Write the weights and the scenes they come from, then the card: a model is there when its card is."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in views.state_dict().items()}
    location.write(WEIGHTS_NAME, save(tensors))
    location.write(SEEN_NAME, json.dumps(sorted(scenes)).encode())
    location.write(MODEL_NAME, card.model_dump_json(indent=1).encode())


def open_views(url: str | Path, device: str = "cpu") -> TrainedViews:
    """Open what ``geozoo train`` wrote for an experiment of kind ``ssl``.

    Raises:
        InputError: there is no finished model of this kind at this URL, or a newer geozoo wrote it.
        DamagedZooError: its weights are missing or do not fit, or its list of scenes is.
    """
    location = open_location(url)
    try:
        card = SslCard.model_validate_json(location.read(MODEL_NAME))
    except FileNotFoundError:
        raise InputError(
            f"there is no trained model at {location.url}: give the URL that geozoo train wrote to, after it ended."
        ) from None
    except ValueError as error:
        raise InputError(
            f"{MODEL_NAME} at {location.url} is no self-supervised model of this geozoo: {error}"
        ) from error
    views = build_views(card.experiment.views, card.chips, card.experiment.augmentation, location.url)
    try:
        weights = location.read(WEIGHTS_NAME)
        views.load_state_dict(load(weights))
        scenes = frozenset(json.loads(location.read(SEEN_NAME)))
    except (FileNotFoundError, RuntimeError, SafetensorError, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise DamagedZooError(
            f"{WEIGHTS_NAME} or {SEEN_NAME} at {location.url} cannot be used ({cause}): train it again."
        ) from error
    return TrainedViews(location.url, card, views.to(device).eval(), hashlib.sha256(weights).hexdigest(), scenes)
