"""How a model is trained: what every experiment says in the same words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from geozoo.recipe.space import Count, Fraction, Frozen, NonNegative, Positive, Seed


class OptimizerSettings(Frozen):
    """An optimiser of `torch.optim` at its defaults but for these.

    ``adamw`` decays tensors of two and more dimensions only, as is common for transformers; ``adam`` and ``sgd`` decay
    all.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Positive = 1e-4
    weight_decay: NonNegative = 0.0
    momentum: Fraction = 0.9


class ScheduleSettings(Frozen):
    """How the learning rate moves.

    ``onecycle`` is `torch.optim.lr_scheduler.OneCycleLR` (cosine, 30 % rise, from lr/25, to lr/250,000), stepped after
    every batch; ``plateau`` multiplies by 0.3 where the training loss has not improved for 10 epochs
    (`ReduceLROnPlateau`); ``cosine`` rises linearly over the share ``warmup`` of all steps and then falls along half
    a cosine to ``floor`` times the rate, stepped after every batch.

    Two move once an epoch, as published runs do: ``milestones`` multiplies by 0.1 after each of so many epochs
    (`MultiStepLR`); ``epoch_cosine`` is `CosineAnnealingLR` with ``t_max`` epochs to 0, which starts to move after
    ``begin`` epochs.
    """

    name: Literal["constant", "onecycle", "plateau", "cosine", "milestones", "epoch_cosine"] = "constant"
    warmup: Fraction = 0.0
    floor: Fraction = 0.0
    milestones: tuple[Count, ...] = ()
    t_max: Count | None = None
    begin: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _says_when(self) -> ScheduleSettings:
        if (self.name == "milestones") != bool(self.milestones):
            raise ValueError("the schedule milestones, and no other, lists milestones: for example [100]")
        if (self.name == "epoch_cosine") != (self.t_max is not None):
            raise ValueError("the schedule epoch_cosine, and no other, has a t_max: the epochs from the rate to 0")
        return self


class TrainingSettings(Frozen):
    """Length, batches, arithmetic and stopping.

    ``epochs`` is at most how often the training samples are seen; training ends before where the validation loss has
    not improved for ``patience`` epochs. ``precision`` ``bfloat16`` computes under autocast and keeps weights and
    updates in float32; float64 is for proofs. The model that is kept is that of the epoch with the least validation
    loss.

    A checkpoint is written after every epoch, with ``checkpoint_steps`` also after every so many steps of an epoch: for
    epochs of hours. With ``keep_best`` above 1 the weights of so many epochs with the least validation loss lie beside
    it; see `geozoo.training.best`. Both may be others when a run goes on (`SAVING`): weights that a smaller
    ``keep_best`` had let go do not come back.
    """

    epochs: Count
    batch_size: Count = 128
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    seed: Seed = 0
    patience: Count | None = None
    checkpoint_steps: Count | None = None
    keep_best: Count = 1


SAVING = {"checkpoint_steps", "keep_best"}
"""The fields of `TrainingSettings` that say what is saved on the way and not what is learned."""
