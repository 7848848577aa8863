"""A view: the bands of a chip that one encoder sees, scaled, and that encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.ssl.augment import recolour
from geozoo.ssl.encoders import build_encoder
from geozoo.ssl.experiment import ALL
from geozoo.ssl.scale import ChipMaxScale, DatasetScale, measure_bands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.eo.chips import Chips
    from geozoo.eo.chips.header import ChipHeader
    from geozoo.ssl.augment import Geometry
    from geozoo.ssl.experiment import AugmentationSettings, ViewSettings
    from geozoo.ssl.split import Rows
    from geozoo.weights.draws import RowDraws

    Bands = Mapping[str, tuple[str, ...]]

RADAR = "s1"


class View(nn.Module):
    """What one encoder makes of a chip: ``view(view.stack(pixels))`` gives vectors ``[n, dim]``.

    Attributes:
        settings: as in the experiment.
        bands: by modality, in the order in which they are stacked.
        scale: from stored numbers to those the encoder sees.
        encoder: of the stacked bands.
    """

    def __init__(self, settings: ViewSettings, bands: Bands, size: int) -> None:
        super().__init__()
        self.settings = settings
        self.bands = dict(bands)
        count = sum(len(names) for names in bands.values())
        self.scale: nn.Module
        if settings.scale != "chip_max":
            self.scale = DatasetScale(torch.zeros(count), torch.ones(count))
        else:
            self.scale = ChipMaxScale([name.startswith(RADAR) for name, names in bands.items() for _ in names])
        self.encoder = build_encoder(settings.encoder, count, size).to(memory_format=torch.channels_last)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.encoder.dim

    def stack(self, pixels: Mapping[str, Tensor]) -> Tensor:
        """The view's bands of a chip batch (all that its streams read), in stored units."""
        return torch.cat([pixels[modality] for modality in self.bands], dim=1)

    def draw(
        self, pixels: Mapping[str, Tensor], geometry: Geometry, augmentation: AugmentationSettings, draws: RowDraws
    ) -> Tensor:
        """Stacked bands as training sees them: all moved alike, those that are no radar recoloured."""
        moved = {modality: geometry(pixels[modality]) for modality in self.bands}
        return self.stack(
            {
                modality: one if modality.startswith(RADAR) else recolour(one, augmentation, draws)
                for modality, one in moved.items()
            }
        )

    def forward(self, stacked: Tensor) -> Tensor:
        """Vectors ``[n, dim]``."""
        vectors: Tensor = self.encoder(self._seen(stacked))
        return vectors

    def maps(self, stacked: Tensor) -> Tensor:
        """Feature maps ``[n, dim, height, width]``."""
        return self.encoder.maps(self._seen(stacked))

    def pyramid(self, stacked: Tensor) -> list[Tensor]:
        """Feature maps ``[n, width, height, width]`` from fine to coarse, for a decoder."""
        return self.encoder.pyramid(self._seen(stacked))

    def _seen(self, stacked: Tensor) -> Tensor:
        scaled: Tensor = self.scale(stacked)
        return scaled.contiguous(memory_format=torch.channels_last)


class Views(nn.ModuleDict):
    """Views by name, in the order of the experiment."""

    def each(self) -> list[tuple[str, View]]:
        """Name and view."""
        return list(self.items())  # type: ignore[arg-type]

    @property
    def dim(self) -> int:
        """Width of the vectors of all views side by side."""
        return sum(view.dim for _, view in self.each())


def resolve_bands(settings: ViewSettings, header: ChipHeader, url: str) -> dict[str, tuple[str, ...]]:
    """The names of a view's bands by modality, checked against a chip store.

    Raises:
        BandError: the store lacks a band that is named.
        InputError: it lacks a modality.
    """
    from geozoo.eo.bands import select_bands

    bands = {}
    for modality, names in settings.bands.items():
        if modality not in header.arrays:
            raise InputError(f"{url} has no modality {modality!r}: choose among {', '.join(header.arrays)}")
        there = header.arrays[modality].bands
        bands[modality] = there if names == ALL else tuple(names)
        select_bands(there, bands[modality], url)
    return bands


def build_views(
    settings: Mapping[str, ViewSettings], header: ChipHeader, augmentation: AugmentationSettings, url: str
) -> Views:
    """The views of an experiment, weights drawn from torch's generator, scales not yet measured."""
    size = augmentation.crop or header.size
    if size > header.size:
        raise InputError(f"augmentation.crop is {size} but the chips of {url} have {header.size} pixels: crop less")
    return Views({name: View(one, resolve_bands(one, header, url), size) for name, one in settings.items()})


def measure_scales(views: Views, chips: Chips, rows: Rows, seed: int) -> None:
    """Give every view that is scaled by the data set the statistics of the training chips."""
    for _, view in views.each():
        if view.settings.scale == "dataset":
            assert isinstance(view.scale, DatasetScale)
            mean, std = measure_bands(chips, rows, view.bands, seed)
            view.scale.mean.copy_(torch.tensor(mean))
            view.scale.std.copy_(torch.tensor(std))


def all_bands(views: Views) -> dict[str, tuple[str, ...]]:
    """The bands that the views see, by modality.

    Raises:
        InputError: two views see different bands of one modality.
    """
    bands: dict[str, tuple[str, ...]] = {}
    for _, view in views.each():
        for modality, names in view.bands.items():
            if bands.setdefault(modality, names) != names:
                raise InputError(f"two views name different bands of {modality!r}: name the same in both")
    return bands
