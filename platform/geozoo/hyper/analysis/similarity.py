"""Similarity of networks by what they do: linear CKA of activations, agreement of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.hyper.analysis.evaluate import MAX_IMAGES, MAX_PARAMETERS
from geozoo.nets.activations import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

MAX_LAYERS = 8
LOGITS = "logits"


@dataclass(frozen=True)
class Similarity:
    """How alike members are on ``images`` test images.

    ``cka`` maps a layer to ``[members, members]`` in [0, 1], NaN where a member's layer answers the same to every
    image; ``agreement`` is the share of images with the same prediction.
    """

    members: tuple[str, ...]
    cka: Mapping[str, NDArray[np.float64]]
    agreement: NDArray[np.float64]
    images: int


def cka_matrix(grams: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Linear CKA of every pair (Kornblith et al. 2019, equation 5): m `unit_gram` give ``[m, m]``, in [0, 1].

    ``||Y'X||² / (||X'X|| ||Y'Y||)`` of centred columns X and Y; NaN where either does not vary. It is biased upwards
    where there are more features than images.
    """
    stacked = np.stack(grams)
    return np.clip(stacked @ stacked.T, 0, 1)


def unit_gram(activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gram matrix of centred activations ``[n, p]`` as a vector of length one; NaN where they do not vary."""
    centred = activations - activations.mean(axis=0)
    gram = (centred @ centred.T).ravel()
    norm = np.linalg.norm(gram)
    return gram / norm if norm > 0 else np.full_like(gram, np.nan)


def agreement_matrix(predictions: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Share of images with equal predicted classes, for every pair of the members of ``[members, images]``."""
    return np.asarray((predictions[:, None] == predictions[None]).mean(axis=2))


def watched_layers(module: nn.Module) -> list[str]:
    """The modules whose outputs are compared: activations, or the top-level parts where these are more than eight."""
    kinds = set(ACTIVATIONS.values())
    found = [name for name, part in module.named_modules() if type(part).__name__ in kinds]
    if len(found) <= MAX_LAYERS:
        return found
    return [name for name, part in module.named_children() if any(True for _ in part.parameters())][:-1]


def compare_members(zoo: Zoo, members: Sequence[str], epoch: int, data: ImageSet) -> Similarity:
    """Run members on the first 512 test images and compare them layer by layer and in their predictions.

    Layers are numbered from the input; what follows the last activation are the logits. Memory grows with the number
    of members only by one Gram matrix per layer.
    """
    import torch

    from geozoo.population.tensors import Pixels, split_tensors

    shown = min(MAX_IMAGES, len(data.test))
    if zoo.header.num_parameters > MAX_PARAMETERS:
        shown = min(shown, 128)
    images, _ = split_tensors(data.test.take(slice(shown)))
    inputs = Pixels.of(data, torch.float32)(images)
    grams: dict[str, list[NDArray[np.float64]]] = {}
    predictions = []
    for member in members:
        outputs = layer_outputs(zoo.module(member, epoch), inputs)
        for name, output in outputs.items():
            grams.setdefault(name, []).append(unit_gram(output.flatten(1).double().numpy()))
        predictions.append(outputs[LOGITS].argmax(dim=1).numpy())
    cka = {name: cka_matrix(units) for name, units in grams.items()}
    return Similarity(tuple(members), cka, agreement_matrix(np.stack(predictions)), shown)


def layer_outputs(module: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Outputs ``[n, ...]`` of the watched layers, named ``layer 1``, ..., and the logits ``[n, classes]``."""
    import torch

    outputs: dict[str, Tensor] = {}
    hooks = []
    for number, name in enumerate(watched_layers(module), start=1):

        def keep(_module: nn.Module, _inputs: Any, output: Tensor, label: str = f"layer {number}") -> None:
            outputs[label] = output

        hooks.append(module.get_submodule(name).register_forward_hook(keep))
    try:
        with torch.no_grad():
            logits = module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {**outputs, LOGITS: logits}


def mean_by_group(similarity: NDArray[np.float64], groups: NDArray[Any]) -> tuple[float, float]:
    """Mean similarity of pairs with the same value of a property, and of pairs with different ones; NaN pairs left out.

    Args:
        similarity: ``[m, m]``.
        groups: the property of each member ``[m]``.
    """
    upper = np.triu(np.isfinite(similarity), k=1)
    same = groups[:, None] == groups[None]
    return _mean(similarity[upper & same]), _mean(similarity[upper & ~same])


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
