"""Encoders by name: any network of timm, and the map-keeping VGG of MMA."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from geozoo.errors import NetworkError

if TYPE_CHECKING:
    from geozoo.ssl.experiment import EncoderSettings

VGG_MAPS = "vgg_maps"


class Encoder(nn.Module, ABC):
    """An image encoder: ``forward`` gives vectors ``[n, dim]``, ``maps`` the feature map before they are pooled."""

    dim: int
    """Width of the vectors and maps."""

    @abstractmethod
    def maps(self, pixels: Tensor) -> Tensor:
        """Features ``[n, dim, height, width]``."""

    @property
    def stages(self) -> list[Any]:
        """Of a Swin transformer its stages (``timm.models.swin_transformer.SwinTransformerStage``), else none."""
        return []

    def pyramid(self, pixels: Tensor) -> list[Tensor]:
        """What a decoder reads, feature maps ``[n, width, height, width]`` from fine to coarse; the last is `maps`."""
        return [self.maps(pixels)]


class TimmEncoder(Encoder):
    """A network of timm without its classifier."""

    def __init__(self, name: str, bands: int, size: int, options: dict[str, Any]) -> None:
        super().__init__()
        import timm

        sized: dict[str, Any] = {"img_size": size} if _takes_size(name) else {}
        try:
            network: Any = timm.create_model(
                name, pretrained=False, in_chans=bands, num_classes=0, **{**sized, **options}
            )
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            cause = " ".join(str(error).split()).rstrip(".")
            raise NetworkError(
                f"timm cannot make encoder {name!r} with {options} for {bands} bands of {size} pixels ({cause}): "
                "choose a name of timm.list_models(), 'vgg_maps', or other options"
            ) from None
        self.network = network
        self.dim = int(network.num_features)

    def forward(self, pixels: Tensor) -> Tensor:
        """Vectors ``[n, dim]``, pooled as the network pools."""
        vectors: Tensor = self.network(pixels)
        return vectors

    def maps(self, pixels: Tensor) -> Tensor:
        """Features ``[n, dim, height, width]``, brought to this order where the network has channels last."""
        network: Any = self.network
        features: Tensor = network.forward_features(pixels)
        if features.ndim != 4:
            name = network.default_cfg.get("architecture")
            raise NetworkError(f"encoder {name!r} keeps no feature map: choose a convolutional network or a Swin")
        return features if features.shape[1] == self.dim else features.permute(0, 3, 1, 2)

    @property
    def stages(self) -> list[Any]:
        """Of a Swin transformer its stages, else none."""
        from timm.models.swin_transformer import SwinTransformer

        return list(self.network.layers) if isinstance(self.network, SwinTransformer) else []

    def pyramid(self, pixels: Tensor) -> list[Tensor]:
        """Of a Swin what every stage but the last reads, as Swin-Unet's skips, and `maps`; else `maps` alone."""
        if not self.stages:
            return [self.maps(pixels)]
        read, features = [], self.network.patch_embed(pixels)
        for stage in self.stages:
            merged = stage.downsample(features)
            read.append(merged)
            features = stage.blocks(merged)
        return [level.permute(0, 3, 1, 2) for level in (*read[:-1], self.network.norm(features))]


class VggMaps(Encoder):
    """Four blocks of two 3x3 convolutions with BatchNorm and ReLU (64, 128, 256, ``dim``), pooled three times.

    The encoder of multi-modal alignment (after Windsor et al.): stride 8, feature maps kept. Here with BatchNorm.
    """

    def __init__(self, bands: int, dim: int = 256) -> None:
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = []
        widths = (bands, 64, 128, 256, dim)
        for number, (before, after) in enumerate(itertools.pairwise(widths)):
            if number:
                layers.append(nn.MaxPool2d(2))
            for inside in (before, after):
                layers += [nn.Conv2d(inside, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """Vectors ``[n, dim]``: the mean of the map."""
        return self.maps(pixels).mean((2, 3))

    def maps(self, pixels: Tensor) -> Tensor:
        """Features ``[n, dim, height / 8, width / 8]``."""
        features: Tensor = self.layers(pixels)
        return features


def build_encoder(settings: EncoderSettings, bands: int, size: int) -> Encoder:
    """An encoder with random weights for images of ``bands`` bands and ``size`` pixels a side.

    Raises:
        NetworkError: there is none of this name, or its options do not fit.
    """
    if settings.name != VGG_MAPS:
        return TimmEncoder(settings.name, bands, size, settings.options)
    try:
        return VggMaps(bands, **settings.options)
    except TypeError as error:
        raise NetworkError(
            f"options {settings.options} do not fit encoder 'vgg_maps' ({error}): it takes dim"
        ) from None


def num_parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _takes_size(name: str) -> bool:
    import inspect

    import timm

    if not timm.is_model(name):
        return False
    architecture = timm.model_entrypoint(name)
    return "img_size" in inspect.signature(architecture).parameters or name.startswith(("swin", "vit"))
