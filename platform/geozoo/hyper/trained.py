"""A trained hyper-representation on disk or S3: two objects, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save

from geozoo.errors import DamagedZooError, InputError
from geozoo.hyper.codec import Codec, WeightSpace
from geozoo.hyper.experiment import HyperExperiment
from geozoo.hyper.models import find_model
from geozoo.nets.layout import Layout, TensorSlot, num_parameters
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from geozoo.store import Location

MODEL_NAME, WEIGHTS_NAME = "model.json", "model.safetensors"
_CHUNK_SCALARS = 2_000_000


class LearnedZoo(BaseModel):
    """A zoo that was learned from: its ``name`` and ``layout``, and the ids of its training ``members``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    layout: tuple[TensorSlot, ...]
    members: tuple[str, ...]


class ModelCard(BaseModel):
    """``model.json``: all that is needed to use the weights beside it, and to know what they come from.

    ``history`` has the record of every epoch; ``best_epoch`` is that whose weights are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    experiment: HyperExperiment
    zoos: tuple[LearnedZoo, ...]
    history: tuple[dict[str, float], ...]
    best_epoch: int


@dataclass(frozen=True)
class TrainedModel:
    """A trained codec with its card; arrays in, arrays out, in bounded chunks."""

    url: str
    card: ModelCard
    codec: Codec
    device: str = "cpu"

    @property
    def name(self) -> str:
        """The name of its experiment."""
        return self.card.experiment.name

    @property
    def train_members(self) -> frozenset[str]:
        """The ids of all members it was trained on."""
        return frozenset(member for zoo in self.card.zoos for member in zoo.members)

    @property
    def layouts(self) -> list[Layout]:
        """The layouts of the zoos it was trained on."""
        return [zoo.layout for zoo in self.card.zoos]

    def zoo_of(self, layout: Layout) -> int:
        """The number of the zoo whose networks have this layout.

        Raises:
            InputError: none has.
        """
        for number, known in enumerate(self.layouts):
            if known == layout:
                return number
        sizes = ", ".join(f"{num_parameters(known):,}" for known in self.layouts)
        raise InputError(
            f"model {self.name!r} at {self.url} cannot read networks of {num_parameters(layout):,} parameters: it was "
            f"trained on networks of {sizes}; train one on this zoo."
        )

    def encoder_of(self, layout: Layout) -> LayoutEncoder:
        """This model as an encoder of networks of one layout; raises as `zoo_of` does."""
        return LayoutEncoder(self, self.zoo_of(layout))

    def embed(self, weights: np.ndarray[Any, Any], zoo: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embeddings float32 ``[n, k]`` of weights ``[n, params]``."""
        return self._apply(lambda chunk: self.codec.embed(chunk, zoo), weights)

    def reconstruct(self, weights: np.ndarray[Any, Any], zoo: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Weights float32 ``[n, params]``, decoded from the latents of weights ``[n, params]``."""
        return self._apply(lambda chunk: self.codec.decode(self.codec.encode(chunk, zoo), zoo), weights)

    def decode_mean(self, weights: np.ndarray[Any, Any], zoo: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Weights float32 ``[params]``, decoded from the mean of the latents of weights ``[n, params]``."""
        latents = self._apply(lambda chunk: self.codec.encode(chunk, zoo), weights)
        mean = torch.from_numpy(latents.mean(axis=0, keepdims=True)).to(self.device)
        with torch.no_grad():
            return np.asarray(self.codec.decode(mean, zoo)[0].cpu().numpy(), dtype=np.float32)

    def latent_size(self, zoo: int = 0) -> int:
        """How many numbers the latent of one network has."""
        with torch.no_grad():
            return self.codec.encode(self.codec.space(zoo).mean[None], zoo)[0].numel()

    def _apply(
        self, function: Callable[[Tensor], Tensor], weights: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        rows = max(1, _CHUNK_SCALARS // max(1, weights.shape[1]))
        parts = []
        with torch.no_grad():
            for start in range(0, max(1, len(weights)), rows):
                chunk = torch.from_numpy(np.asarray(weights[start : start + rows], dtype=np.float32))
                parts.append(function(chunk.to(self.device)).float().cpu().numpy())
        return np.concatenate(parts)


@dataclass(frozen=True)
class LayoutEncoder:
    """A trained model as an encoder of networks of one layout, the number ``zoo`` of those it was trained on."""

    model: TrainedModel
    zoo: int

    @property
    def layout(self) -> Layout:
        """The layout of the networks it embeds."""
        return self.model.layouts[self.zoo]

    @property
    def split_by(self) -> str:
        """What was split where it was trained: ``member``, ``seed`` or ``cell``."""
        return self.model.card.experiment.states.split

    @property
    def train_members(self) -> frozenset[str]:
        """The ids of all members it was trained on, of any zoo."""
        return self.model.train_members

    def embed(self, weights: np.ndarray[Any, Any], /) -> np.ndarray[Any, Any]:
        """Embeddings float32 ``[n, k]`` of weights ``[n, params]``."""
        return self.model.embed(weights, self.zoo)


def save_model(location: Location, card: ModelCard, codec: Codec) -> None:
    """Write the weights, then the card: a model is there when its card is."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in codec.state_dict().items()}
    location.write(WEIGHTS_NAME, save(tensors))
    location.write(MODEL_NAME, card.model_dump_json(indent=1).encode())


def open_model(url: str | Path, device: str = "cpu") -> TrainedModel:
    """Open what ``geozoo train`` wrote for an experiment of kind ``hyper``.

    Raises:
        InputError: there is no finished model at this URL, or a newer geozoo wrote it.
        DamagedZooError: its weights are missing or do not fit.
    """
    location = open_location(url)
    try:
        data = location.read(MODEL_NAME)
    except FileNotFoundError:
        raise InputError(
            f"there is no trained model at {location.url}: give the URL that geozoo train wrote to, after it ended."
        ) from None
    try:
        card = ModelCard.model_validate_json(data)
    except ValueError as error:
        raise InputError(f"{MODEL_NAME} at {location.url} cannot be read by this geozoo: {error}") from error
    codec = empty_codec(card.experiment, [zoo.layout for zoo in card.zoos])
    try:
        codec.load_state_dict(load(location.read(WEIGHTS_NAME)))
    except (FileNotFoundError, RuntimeError, SafetensorError) as error:
        cause = str(error).splitlines()[0]
        raise DamagedZooError(f"{WEIGHTS_NAME} at {location.url} cannot be used ({cause}): train it again.") from error
    return TrainedModel(location.url, card, codec.to(device).eval(), device)


def empty_codec(experiment: HyperExperiment, layouts: list[Layout]) -> Codec:
    """The codec of an experiment, its weights drawn from torch's generator, its scales 0 and 1."""
    model = find_model(experiment.model.name).build(experiment.model, layouts)
    standardise = experiment.states.standardise
    sizes = [num_parameters(layout) for layout in layouts]
    return Codec(model, [WeightSpace(torch.zeros(size), torch.ones(size), standardise=standardise) for size in sizes])
