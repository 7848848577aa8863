"""Networks of timm, by the name ``timm/<model>``: built without pretrained weights, with all that is their own."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from geozoo.errors import NetworkError
from geozoo.nets.registry import TIMM_PREFIX, NetworkRecord, NetworkShape

if TYPE_CHECKING:
    from torch import nn

    from geozoo.nets.registry import DropoutFactory

_MODEL = re.compile(r"[a-z0-9_]+")


@cache
def timm_network(name: str) -> NetworkRecord:
    """The record of ``timm/<model>``, for any model of the installed timm; nothing is downloaded.

    Activations, initial weights and layers are timm's; every random layer is switched off, since it would draw from a
    library generator. Models with an image size of their own are built for that of the image set.

    Raises:
        NetworkError: timm has no model of this name.
    """
    import timm

    model = name.removeprefix(TIMM_PREFIX)
    if not _MODEL.fullmatch(model) or not timm.is_model(model):
        raise NetworkError(
            f"there is no network {name!r}: write timm/ and a model that timm.list_models() lists, without a tag of "
            "pretrained weights, such as timm/resnet10t or timm/vit_tiny_patch16_224."
        )
    return NetworkRecord(name=name, summary=f"{model} of timm", build=partial(_build, model), as_it_is=True)


def _build(model: str, shape: NetworkShape, make_dropout: DropoutFactory) -> nn.Module:
    _refuse_unfit(model, shape)
    return _create(model, shape)


def _create(model: str, shape: NetworkShape) -> nn.Module:
    import timm

    wanted: dict[str, Any] = {
        "in_chans": shape.channels,
        "num_classes": shape.classes,
        "drop_rate": 0.0,
        "drop_path_rate": 0.0,
    }
    known = timm.get_pretrained_cfg(model, allow_unregistered=True)
    if known is not None and known.fixed_input_size:
        wanted["img_size"] = shape.size
    try:
        module: nn.Module = timm.create_model(model, pretrained=False, **wanted)
    except TypeError:  # a model without stochastic depth
        del wanted["drop_path_rate"]
        module = timm.create_model(model, pretrained=False, **wanted)
    return module


@cache
def _refuse_unfit(model: str, shape: NetworkShape) -> None:
    """Run two images through the model twice, in training: it must fit them and must not draw random numbers.

    What it counts in integers must be the batches, as a BatchNorm does: nothing else is kept of a state.
    """
    import torch

    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            module = _create(model, shape).train()
            images = torch.randn(2, shape.channels, shape.size, shape.size)
            first, second = module(images), module(images)
        except Exception as error:
            cause = " ".join(str(error).split()).rstrip(".")
            raise NetworkError(
                f"network 'timm/{model}' does not fit {shape.channels} channels and image size {shape.size} ({cause}): "
                "set dataset.size or choose another network."
            ) from error
    if not isinstance(first, torch.Tensor) or first.shape != (2, shape.classes):
        raise NetworkError(f"network 'timm/{model}' does not give one number a class: choose a classifier.")
    if not torch.equal(first, second):
        raise NetworkError(
            f"network 'timm/{model}' draws random numbers in training, which no seed of a member governs: "
            "choose another network."
        )
    for name, value in module.state_dict().items():
        if not value.is_floating_point() and not (name.endswith(".num_batches_tracked") and value == 2):
            raise NetworkError(f"network 'timm/{model}' keeps integers in {name}, which a zoo cannot: choose another.")
