"""The network of a row on disk or S3: encoders with their head, two objects, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from geozoo.errors import DamagedZooError, InputError
from geozoo.ssl.augment import Geometry
from geozoo.ssl.downstream.experiment import FROZEN, LabelsExperiment
from geozoo.ssl.downstream.fit import score_heads
from geozoo.ssl.downstream.heads import Encoders, make_head
from geozoo.ssl.downstream.metrics import Score
from geozoo.ssl.downstream.rows import Row, learn, rate_groups, read_labelled
from geozoo.ssl.experiment import ViewSettings
from geozoo.ssl.views import View, Views
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from geozoo.ssl.downstream.bench import Bench
    from geozoo.ssl.downstream.rows import RowResult
    from geozoo.store import Location

CARD_NAME, WEIGHTS_NAME = "predictor.json", "predictor.safetensors"


class PredictorCard(BaseModel):
    """``predictor.json``: all that is needed to use the weights beside it, and to know what they come from.

    Attributes:
        kind: always ``predictor``.
        experiment: of the sweep.
        row: of the table that it belongs to.
        rate: learning rate that did best on validation.
        validation: score there.
        test: score on test chips.
        views: with the names of all bands.
        sensors: of the chips by modality, names in `geozoo.eo.bands.SENSORS`.
        classes: names by class number.
        size: side of a chip in pixels, as encoders see it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: Literal["predictor"] = "predictor"
    experiment: LabelsExperiment
    row: Row
    rate: float
    validation: Score
    test: Score
    views: dict[str, ViewSettings]
    sensors: dict[str, str]
    classes: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Predictor:
    """Encoders and head with their card, in evaluation mode."""

    url: str
    card: PredictorCard
    encoders: Encoders
    head: nn.Module

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """What it reads, by modality."""
        return {name: bands for _, view in self.encoders.views.each() for name, bands in view.bands.items()}

    @torch.no_grad()
    def logits(self, pixels: Mapping[str, Tensor]) -> Tensor:
        """Logits ``[n, classes]``, or ``[n, classes, size, size]`` of pixels, of chips of ``card.size`` as stored.

        Computed where the encoders are; chips and logits are on the CPU.
        """
        device = next(self.encoders.parameters()).device
        here = {name: one.to(device) for name, one in pixels.items()}
        logits: Tensor = self.head(self.encoders.features(here, Geometry()))
        return logits.cpu()


def keep_best(bench: Bench, results: Sequence[RowResult], location: Location) -> PredictorCard:
    """Learn the row with the best validation score again, as it did the first time, and write its network.

    Raises:
        InputError: no row trained a network.
    """
    trained = [one for one in results if one.updates]
    if not trained:
        raise InputError("no method of this sweep trains a network that could be kept: add probe, finetune or scratch")
    best = max(trained, key=lambda one: one.chosen.validation.main)
    rate, row = best.chosen.rate, best.row
    rates = next(group for group in rate_groups(bench.experiment, row.method) if rate in group)
    encoders, heads = learn(bench, row, read_labelled(bench, row), rates)
    head = heads[rates.index(rate)]
    validation, test = (
        score_heads(encoders, [head], part, bench.experiment.augmentation, bench.device)[0]
        for part in (bench.validation, bench.test)
    )
    card = PredictorCard(
        experiment=bench.experiment,
        row=row,
        rate=rate,
        validation=validation,
        test=test,
        views={name: view.settings.model_copy(update={"bands": view.bands}) for name, view in encoders.views.each()},
        sensors={name: array.sensor for name, array in bench.chips.header.arrays.items()},
        classes=bench.chips.header.classes,
        size=bench.size,
    )
    network = nn.ModuleDict({"views": encoders.views, "head": head})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    location.write(WEIGHTS_NAME, save(tensors))
    location.write(CARD_NAME, card.model_dump_json(indent=1).encode())
    return card


def open_predictor(url: str | Path, device: str = "cpu") -> Predictor:
    """Open what ``geozoo sweep --keep`` wrote.

    Raises:
        InputError: there is none at this URL, or a newer geozoo wrote it.
        DamagedZooError: its weights are missing or do not fit.
    """
    location = open_location(url)
    try:
        card = PredictorCard.model_validate_json(location.read(CARD_NAME))
    except FileNotFoundError:
        raise InputError(f"there is no predictor at {location.url}: give the URL of geozoo sweep --keep URL") from None
    except ValueError as error:
        raise InputError(f"{CARD_NAME} at {location.url} is no predictor of this geozoo: {error}") from error
    views = Views(
        {
            name: View(one, {modality: tuple(names) for modality, names in one.bands.items()}, card.size)
            for name, one in card.views.items()
        }
    )
    frozen, task = card.row.method in FROZEN, card.experiment.task
    encoders = Encoders(views, frozen=frozen, pixels=task == "segmentation")
    head = make_head(views, task, len(card.classes), card.size, frozen=frozen)
    try:
        nn.ModuleDict({"views": views, "head": head}).load_state_dict(load(location.read(WEIGHTS_NAME)))
    except (FileNotFoundError, RuntimeError, SafetensorError) as error:
        cause = str(error).splitlines()[0]
        raise DamagedZooError(f"{WEIGHTS_NAME} at {location.url} cannot be used ({cause}): keep it again.") from error
    return Predictor(location.url, card, encoders.to(device).eval(), head.to(device).eval())
