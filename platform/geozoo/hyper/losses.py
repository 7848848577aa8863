"""What a hyper-representation minimises: reconstruction of weights and contrast of embeddings, as pure functions.

Weights are ``[n, params]``; a ``mask [n, params]`` (bool) marks the weights that a model reconstructed, ``None`` means
all. Losses are means over what is covered, so that they compare between windows and zoos, and 0 where nothing is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.errors import InputError

if TYPE_CHECKING:
    from geozoo.nets.layout import Layout

SCALE_FLOOR = 1e-4
"""Added to or put under a standard deviation of weights before dividing by it, as published."""

Reduction = Literal["global_mean", "layer_mean"]


def reconstruction(predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error of the covered weights."""
    return _masked_mean((predicted - target).square(), mask)


def layer_numbers(layout: Layout) -> Tensor:
    """The layer of every weight, int64 ``[params]``: 0, 1, ... in layout order.

    Weight and bias of a module are one layer, as in the published layer-wise normalisation. Running statistics, which
    those networks do not have, are layers of their own, since their size has nothing to do with that of the weights.
    """
    names = [slot.name if slot.role == "buffer" else slot.name.rpartition(".")[0] for slot in layout]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    sizes = torch.tensor([slot.size for slot in layout])
    return torch.tensor([numbers[name] for name in names]).repeat_interleave(sizes)


def layer_scales(weights: Tensor, layout: Layout) -> Tensor:
    """Standard deviation of each weight's layer over all states, floored at 1e-4: ``[n, params]`` gives ``[params]``.

    Computed in float64 about the layer's own mean and returned in the dtype of ``weights``. Take training states only.
    """
    layers = layer_numbers(layout).to(weights.device)
    columns = weights.double()
    count = layers.bincount().double() * len(weights)
    mean = _per_layer(columns.sum(0), layers) / count
    variance = _per_layer((columns - mean[layers]).square().sum(0), layers) / count
    return variance.sqrt().clamp_min(SCALE_FLOOR)[layers].to(weights.dtype)


def layer_normalised(
    predicted: Tensor,
    target: Tensor,
    layout_scales: Tensor,
    reduction: Reduction = "global_mean",
    mask: Tensor | None = None,
    *,
    layers: Tensor | None = None,
) -> Tensor:
    """Layer-wise normalised reconstruction of Schuerholt et al. (2022, arXiv 2209.14733).

    Errors are divided by the scale of their layer, ``layout_scales [params]`` from `layer_scales`. ``global_mean``
    counts every covered weight equally. ``layer_mean`` counts every layer equally, small ones as much as large ones:
    the mean over layers of their mean errors. The published one is the sum over layers, larger by the factor of their
    number; a mean keeps the weight of this loss against others the same for every network.

    Raises:
        InputError: ``layer_mean`` without ``layers``, the `layer_numbers` of the layout.
    """
    errors = ((predicted - target) / layout_scales).square()
    if reduction == "global_mean":
        return _masked_mean(errors, mask)
    if layers is None:
        raise InputError("the reduction 'layer_mean' needs to know the layers: pass layers=layer_numbers(layout).")
    means, present = _layer_means(errors, layers, mask)
    return means.sum() / present.sum().clamp_min(1)


def batch_normalised(predicted: Tensor, target: Tensor, layers: Tensor, mask: Tensor | None = None) -> Tensor:
    """Masked loss normalisation at run time, for zoos whose weights differ in scale (MultiZoo, arXiv 2504.10141).

    Prediction and target are both standardised by mean and standard deviation (plus 1e-4) of the target's covered
    weights in this batch, layer by layer; the mean cancels in the difference. No statistics of a zoo are
    stored, so predictions stay weights. The statistics carry no gradient.

    Args:
        predicted: ``[n, params]``.
        target: likewise.
        layers: `layer_numbers` of their layout, ``[params]``.
        mask: bool ``[n, params]``.
    """
    known = target.detach()
    means, _ = _layer_means(known, layers, mask)
    variances, _ = _layer_means((known - means[layers]).square(), layers, mask)
    scales = variances.sqrt() + SCALE_FLOOR
    return _masked_mean(((predicted - target) / scales[layers]).square(), mask)


def nt_xent(anchors: Tensor, everyone: Tensor, rows: Tensor, temperature: float = 0.1) -> Tensor:
    """Sum of the NT-Xent losses (Chen et al., 2020) of some anchors: divide by 2B for the loss of the global batch.

    With cosine similarity s, ``-log(exp(s(i, p) / T) / sum over j != i of exp(s(i, j) / T))``: one positive and 2B - 2
    negatives. Each worker passes its own anchors and the embeddings of all workers, gathered with gradient; the sums
    of the workers add up to that of one worker with the whole batch. A worker without anchors gives 0.

    Args:
        anchors: ``[a, o]``.
        everyone: ``[2B, o]``, first one view of every pair, then the other in the same order.
        rows: int64 ``[a]``, the row of each anchor in ``everyone``; its positive is row ``(i + B) % 2B``.
        temperature: T.

    Raises:
        InputError: ``everyone`` has an odd number of rows.
    """
    count = len(everyone)
    if count % 2:
        raise InputError(f"{count} embeddings cannot be two views of every state: pass an even number of rows.")
    if not len(anchors):
        return anchors.sum() + everyone.sum() * 0
    with torch.autocast(anchors.device.type, enabled=False):
        similarity = _unit(anchors) @ _unit(everyone).T / temperature
        own = F.one_hot(rows, count).bool()
        positives = (rows + count // 2) % count
        return F.cross_entropy(similarity.masked_fill(own, -torch.inf), positives, reduction="sum")


def combined(
    contrast: Tensor | None,
    structure: Tensor | None,
    behaviour: Tensor | None = None,
    *,
    gamma: float,
    beta: float = 1.0,
) -> Tensor:
    """``gamma * contrast + (1 - gamma) * (beta * structure + (1 - beta) * behaviour)`` (arXiv 2503.17138).

    A term whose weight is 0 is not looked at: it may be ``None``, and cannot make the sum not-a-number.

    Raises:
        InputError: a weight is outside [0, 1], or a term that counts is missing.
    """
    for name, weight in (("gamma", gamma), ("beta", beta)):
        if not 0 <= weight <= 1:
            raise InputError(f"{name} is {weight} but weighs two losses: choose a number from 0 to 1.")
    weights = {"contrast": gamma, "structure": (1 - gamma) * beta, "behaviour": (1 - gamma) * (1 - beta)}
    total = None
    for (name, weight), term in zip(weights.items(), (contrast, structure, behaviour), strict=True):
        if not weight:
            continue
        if term is None:
            raise InputError(f"the {name} loss has weight {weight:g} but was not computed: compute it or weigh it 0.")
        total = weight * term if total is None else total + weight * term
    assert total is not None
    return total


def _unit(embeddings: Tensor) -> Tensor:
    """Rows of length one, in float32 at least."""
    wide = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
    return F.normalize(wide, dim=1)


def _masked_mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return errors.sum() / max(errors.numel(), 1)
    return _covered(errors, mask).sum() / mask.sum().clamp_min(1)


def _covered(values: Tensor, mask: Tensor) -> Tensor:
    """Zero where the mask is false, whatever was there."""
    return values.masked_fill(~mask, 0)


def _per_layer(columns: Tensor, layers: Tensor) -> Tensor:
    """Sums over the weights of each layer: ``[params]`` gives ``[layers]``."""
    sums = columns.new_zeros(int(layers[-1]) + 1)
    return sums.index_add(0, layers, columns)


def _layer_means(values: Tensor, layers: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Means over the covered values of each layer, and which layers have any: both ``[layers]``."""
    if mask is None:
        columns, covered = values.sum(0), values.new_full(values.shape[1:], len(values))
    else:
        columns, covered = _covered(values, mask).sum(0), mask.sum(0).to(values.dtype)
    counts = _per_layer(covered, layers)
    return _per_layer(columns, layers) / counts.clamp_min(1), counts > 0
