"""Encoders in and out: weights that others trained, with their bands and scaling checked, and ours for others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C, SENTINEL2_L2A, band_name
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError
from geozoo.ssl.encoders import TimmEncoder
from geozoo.ssl.scale import DatasetScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.ssl.experiment import WeightsSettings
    from geozoo.ssl.trained import TrainedViews
    from geozoo.ssl.views import View, Views

FACTS = "geozoo"
"""Key of the metadata of an exported file."""
HEADS = ("fc.", "head.", "classifier.")
"""What a classifier's parameters are called; they are left out."""


@dataclass(frozen=True)
class Seen:
    """What an encoder was trained on: ``bands`` in the order of its first layer, each scaled ``(x - mean) / std``."""

    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _alike(bands: Sequence[str], mean: float, std: float) -> Seen:
    return Seen(tuple(bands), (mean,) * len(bands), (std,) * len(bands))


_RADAR = Seen(SENTINEL1, (-12.59, -20.26), (5.26, 5.91))
TORCHGEO = {
    **{
        f"SENTINEL2_ALL_{name}": _alike(SENTINEL2_L1C, 0.0, 10_000.0)
        for name in ("MOCO", "DINO", "DECUR", "MAE", "FGMAE")
    },
    **{f"SENTINEL1_ALL_{name}": _RADAR for name in ("MOCO", "DECUR")},
    **{f"SENTINEL1_GRD_{name}": _RADAR for name in ("MAE", "FGMAE", "SOFTCON")},
    "SENTINEL2_RGB_MOCO": _alike(("B04", "B03", "B02"), 0.0, 10_000.0),
    "SENTINEL2_ALL_SECO_ECO": _alike(SENTINEL2_L2A, 0.0, 10_000.0),
    "SENTINEL2_ALL_SOFTCON": Seen(
        SENTINEL2_L1C,
        (1612.9, 1397.6, 1322.3, 1373.1, 1561.0, 2108.4, 2390.7, 2318.7, 2581.0, 837.7, 22.0, 2195.2, 1537.4),
        (791.0, 854.3, 878.7, 1144.9, 1127.5, 1164.2, 1276.0, 1249.5, 1345.9, 577.5, 47.5, 1340.0, 1142.9),
    ),
}
"""What TorchGeo's pre-trained encoders saw, by the name of the entry, from its ``meta`` and ``transforms``."""


def load_weights(views: Views) -> None:
    """Start every view that names weights from them; raises as `load_encoder` does."""
    for name, view in views.each():
        if view.settings.encoder.weights is not None:
            load_encoder(view, view.settings.encoder.weights, name)


def load_encoder(view: View, settings: WeightsSettings, name: str) -> None:
    """Put a state dict into the encoder of a view, and its scaling into the view's.

    The inputs of the first layer are brought from the order of the file's bands to that of the view. Read with
    ``weights_only`` or as safetensors.

    Raises:
        DataNotFoundError: there is no such file.
        DataCorruptError: it cannot be read.
        BandError: it was trained on other bands than the view sees.
        InputError: it belongs to another network, or does not say what it saw.
    """
    tensors, facts = _read(settings.path)
    seen = _seen(settings, facts)
    wanted = [band for names in view.bands.values() for band in names]
    if sorted(seen.bands) != sorted(wanted):
        raise BandError(
            f"{settings.path} was trained on {' '.join(seen.bands)}, but view {name!r} sees {' '.join(wanted)}: name "
            "the same bands in the view"
        )
    places = [seen.bands.index(band) for band in wanted]
    network, first = _network(view), _first_layer(_network(view), len(wanted))
    own = network.state_dict()
    kept = {key: tensor for key, tensor in tensors.items() if key in own or not key.startswith(HEADS)}
    if first not in kept or kept.keys() != own.keys() or kept[first].shape[1] != len(places):
        odd = sorted(kept.keys() ^ own.keys())[:3] or [first]
        raise InputError(
            f"{settings.path} does not fit encoder {view.settings.encoder.name!r} of view {name!r} "
            f"({', '.join(odd)}): name the network that it was trained as"
        )
    try:
        network.load_state_dict({**kept, first: kept[first][:, places]})
    except RuntimeError as error:
        raise InputError(
            f"{settings.path} does not fit encoder {view.settings.encoder.name!r} of view {name!r} "
            f"({str(error).splitlines()[-1].strip()}): name the network that it was trained as"
        ) from None
    assert isinstance(view.scale, DatasetScale)
    view.scale.mean.copy_(torch.tensor([seen.mean[place] for place in places]))
    view.scale.std.copy_(torch.tensor([seen.std[place] for place in places]))


def export_encoder(model: TrainedViews, view: str, path: str | Path) -> dict[str, Any]:
    """Write one encoder as safetensors that timm loads, with bands, scaling and network in the metadata.

    Returns:
        The metadata: ``network`` and ``options`` of `timm.create_model`, ``bands``, ``mean``, ``std``, ``size``.

    Raises:
        InputError: there is no such view, its network is not timm's, or its chips are scaled by their own maximum.
    """
    from safetensors.torch import save_file

    views = dict(model.views.each())
    if view not in views:
        raise InputError(f"{model.url} has no view {view!r}: choose one of {', '.join(views)}")
    chosen = views[view]
    if not isinstance(chosen.encoder, TimmEncoder):
        raise InputError(f"encoder {chosen.settings.encoder.name!r} of view {view!r} is not timm's: it has no export")
    if not isinstance(chosen.scale, DatasetScale):
        raise InputError(f"view {view!r} divides every chip by its own maximum, which no metadata can say")
    facts = {
        "network": chosen.settings.encoder.name,
        "options": chosen.settings.encoder.options,
        "bands": [band for names in chosen.bands.values() for band in names],
        "mean": chosen.scale.mean.tolist(),
        "std": chosen.scale.std.tolist(),
        "size": model.card.experiment.augmentation.crop or model.card.chips.size,
        "experiment": model.card.experiment.name,
    }
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in _network(chosen).state_dict().items()}
    save_file(tensors, str(path), metadata={FACTS: json.dumps(facts)})
    return facts


def _read(path: str) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors by name, and the metadata of an exported file."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError, safe_open

    place = Path(path).expanduser()
    if not place.is_file():
        raise DataNotFoundError(f"there are no weights at {path}: give the path of a .pth or .safetensors file")
    try:
        if place.suffix == ".safetensors":
            with safe_open(place, "pt") as file:
                facts = json.loads((file.metadata() or {}).get(FACTS, "null"))
                return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118  (no mapping)
        found = torch.load(place, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, UnpicklingError, EOFError, OSError) as error:
        cause = " ".join(str(error).split())[:200]
        raise DataCorruptError(
            f"{path} holds no state dict that can be read safely ({cause}): fetch it again"
        ) from None
    inner = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {key: value for key, value in inner.items() if isinstance(value, Tensor)}, None


def _seen(settings: WeightsSettings, facts: dict[str, Any] | None) -> Seen:
    if settings.torchgeo is not None:
        if settings.torchgeo not in TORCHGEO:
            raise InputError(f"weights.torchgeo is {settings.torchgeo!r}: choose one of {', '.join(sorted(TORCHGEO))}")
        return TORCHGEO[settings.torchgeo]
    if settings.bands:
        count = len(settings.bands)
        spread = [values * count if len(values) == 1 else values for values in (settings.mean, settings.std)]
        if any(len(values) != count for values in spread):
            raise InputError(f"weights.bands names {count} bands, mean and std must have 1 or {count} numbers")
        return Seen(tuple(band_name(band) for band in settings.bands), *spread)
    if facts is None:
        raise InputError(
            f"{settings.path} does not say what bands it saw: add weights.bands in the order of its first layer, or "
            "weights.torchgeo"
        )
    return Seen(tuple(facts["bands"]), tuple(facts["mean"]), tuple(facts["std"]))


def _network(view: View) -> nn.Module:
    return view.encoder.network if isinstance(view.encoder, TimmEncoder) else view.encoder


def _first_layer(network: nn.Module, bands: int) -> str:
    """The name of the weight that sees the bands."""
    for name, part in network.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == bands:
            return f"{name}.weight"
    raise InputError(f"{type(network).__name__} has no convolution that sees {bands} bands: choose another network")
