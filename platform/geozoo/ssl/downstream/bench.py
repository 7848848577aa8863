"""What all rows of a table share: chips, split, validation and test, and the encoders they start from."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from geozoo.eo.chips import open_chips
from geozoo.eo.tiles import IGNORE
from geozoo.errors import InputError
from geozoo.ssl.downstream.data import MASK, LabelledChips
from geozoo.ssl.downstream.experiment import NEED_MODEL, ONE_CLASS
from geozoo.ssl.downstream.fit import evaluated
from geozoo.ssl.pretrained import load_weights
from geozoo.ssl.split import chip_labels, split_chips
from geozoo.ssl.trained import open_views
from geozoo.ssl.views import all_bands, build_views, measure_scales
from geozoo.store import open_location
from geozoo.training.draws import derived_seed

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.eo.chips import Chips
    from geozoo.ssl.downstream.experiment import LabelsExperiment
    from geozoo.ssl.downstream.heads import Encoders
    from geozoo.ssl.split import Parts, Rows
    from geozoo.ssl.trained import TrainedViews
    from geozoo.ssl.views import Views


@dataclass
class Bench:
    """Opened once in a process, for any number of rows, which are computed on ``device``."""

    experiment: LabelsExperiment
    chips: Chips
    parts: Parts
    model: TrainedViews | None
    device: str = "cpu"

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.chips.header.classes)

    @property
    def size(self) -> int:
        """Side of a chip in pixels, as encoders see it."""
        return self.experiment.augmentation.crop or self.chips.header.size

    @cached_property
    def validation(self) -> LabelledChips:
        """The chips that choose."""
        return self.read(self.parts.validation)

    @cached_property
    def test(self) -> LabelledChips:
        """The chips that are only scored."""
        return self.read(self.parts.test)

    def new_views(self, seed: int, *, trained: bool) -> Views:
        """A copy of the trained encoders, or the same ones with random weights drawn from a seed.

        Trained are those of the model, or where there is none those whose weights the views name.
        """
        if trained and self.model is not None:
            return copy.deepcopy(self.model.views)
        settings = self.experiment.views or (self.model.card.experiment.views if self.model else {})
        torch.manual_seed(derived_seed(seed, "encoders"))
        views = build_views(settings, self.chips.header, self.experiment.augmentation, self.chips.url)
        for (_, view), (_, scaled) in zip(views.each(), self._scaled.each(), strict=True):
            view.scale.load_state_dict(scaled.scale.state_dict())
        if trained:
            load_weights(views)
        return views

    def embed(self, encoders: Encoders, data: LabelledChips) -> tuple[Tensor, Tensor]:
        """Vectors ``[n, dim]`` and class ``[n]`` of the chips that have one, as evaluation sees them; no gradient."""
        vectors, labels = [], []
        with torch.no_grad():
            for pixels, geometry, answers in evaluated(data, self.experiment.augmentation, self.device):
                features = encoders.features(pixels, geometry)
                assert isinstance(features, torch.Tensor)
                vectors.append(features[answers != IGNORE])
                labels.append(answers[answers != IGNORE])
        return torch.cat(vectors), torch.cat(labels)

    @cached_property
    def _scaled(self) -> Views:
        """Encoders whose scales are those of the trained model, or of the training chips where there is none."""
        if self.model is not None and not self.experiment.views:
            return self.model.views
        views = build_views(self.experiment.views, self.chips.header, self.experiment.augmentation, self.chips.url)
        load_weights(views)
        measure_scales(views, self.chips, self.parts.train, 0)
        return views

    def read(self, rows: Rows) -> LabelledChips:
        """Some chips with what is true of them."""
        return LabelledChips.read(self.chips, rows, all_bands(self._scaled), self.experiment.task)


def located(experiment: LabelsExperiment) -> LabelsExperiment:
    """The experiment with URLs that mean the same in every working directory."""
    given = {name: getattr(experiment, name) for name in ("chips", "model")}
    return experiment.model_copy(update={name: open_location(url).url for name, url in given.items() if url})


def open_bench(experiment: LabelsExperiment, device: str = "cpu") -> Bench:
    """Open chips and model, and make sure that nothing the model was trained on or chosen by is scored.

    What weights that views name were trained on is not known here.

    Raises:
        InputError: chips or model are not named or not there, do not fit, or the model has seen scenes of the test
            part; a method reads one class a chip and the task has several.
    """
    if not experiment.chips:
        raise InputError("the experiment names no chips: add --set chips=URL of a store made with geozoo eo ingest")
    chips = open_chips(experiment.chips)
    wanted = [method for method in experiment.methods if method in NEED_MODEL]
    loaded = bool(experiment.views) and all(view.encoder.weights for view in experiment.views.values())
    if wanted and not experiment.model and not loaded:
        raise InputError(
            f"method {wanted[0]!r} starts from a trained encoder: add --set model=URL, or weights to every view"
        )
    if not experiment.model and not experiment.views:
        raise InputError("the experiment has neither views nor a model: add views, or --set model=URL")
    parts = split_chips(chips, experiment.split)
    model = open_views(experiment.model) if experiment.model else None
    if model is not None:
        _refuse_leak(chips, parts, model)
    _refuse_unlabelled(chips, parts.train, experiment)
    if experiment.task != "single" and (one_class := [name for name in experiment.methods if name in ONE_CLASS]):
        raise InputError(f"method {one_class[0]!r} reads one class a chip: leave it out of task {experiment.task!r}")
    return Bench(experiment, chips, parts, model, device)


def _refuse_unlabelled(chips: Chips, train: Rows, experiment: LabelsExperiment) -> None:
    if not len(chips.header.classes):
        raise InputError(f"the chips of {chips.url} have no classes: ingest a labelled data set")
    if experiment.task == "segmentation" and MASK not in chips.header.arrays:
        raise InputError(f"the chips of {chips.url} have no mask, which task segmentation learns: choose another task")
    if (chip_labels(chips)[train] >= 0).any():
        return
    if experiment.task == "single":
        raise InputError(f"no training chip of {chips.url} has exactly one class: choose task multi or segmentation")
    if experiment.fit.balance:
        raise InputError(f"no training chip of {chips.url} has exactly one class to balance by: set fit.balance=false")


def _refuse_leak(chips: Chips, parts: Parts, model: TrainedViews) -> None:
    """Scenes have names in their data set, however it was cut into chips."""
    if model.card.chips.name != chips.header.name:
        return
    leaked = int(chips.index["scene"].iloc[parts.test].isin(model.scenes).sum())
    if leaked:
        raise InputError(
            f"{leaked} of the {len(parts.test)} test chips are of scenes that {model.url} was trained on or chosen by: "
            f"give the split it was trained with ({model.card.experiment.split.model_dump_json()})"
        )
