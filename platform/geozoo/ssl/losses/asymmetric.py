"""Losses of a student against a teacher: BYOL and DINO, with lightly's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import DINOLoss, NegativeCosineSimilarity
from torch import Tensor, nn

from geozoo.ssl.precision import wide_enough, without_autocast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.ssl.losses.options import ByolOptions, DinoOptions


class ByolLoss(nn.Module):
    """BYOL (Grill et al., 2020): the squared distance of normalised predictions to the other view's projections.

    2 - 2 cos, summed over both directions and averaged over the places, as in the paper: from 0 to 8.
    """

    def __init__(self, options: ByolOptions) -> None:
        super().__init__()
        self.compare = NegativeCosineSimilarity()

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> dict[str, Tensor]:
        """Terms of the batch; ``student``: what its predictor says of both views, ``teacher``: its projections."""
        with without_autocast(student[0]):
            first, second = map(wide_enough, student)
            other_first, other_second = (wide_enough(output.detach()) for output in teacher)
            return {"loss": 4 + 2 * (self.compare(first, other_second) + self.compare(second, other_first))}


class DinoLoss(nn.Module):
    """DINO (Caron et al., 2021): cross-entropy of the student's distribution to the centred teacher's of other views.

    The center, a buffer, follows the teacher's outputs in training and rests in evaluation (lightly's would follow
    validation batches too). The teacher's temperature is constant; lightly holds it in float32.
    """

    def __init__(self, options: DinoOptions) -> None:
        super().__init__()
        self.center = _Centred(
            output_dim=options.prototypes,
            teacher_temp=options.teacher_temperature,
            student_temp=options.student_temperature,
            center_momentum=options.center_momentum,
        )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> dict[str, Tensor]:
        """Terms of the batch; view k of one is compared with all but view k of the other (the student may have more).

        Every worker passes the outputs for the whole batch.
        """
        with without_autocast(student[0]):
            targets = [wide_enough(output.detach()) for output in teacher]
            return {"loss": self.center(targets, [wide_enough(output) for output in student])}


class _Centred(DINOLoss):  # type: ignore[misc]
    def update_center(self, teacher_out: Tensor) -> None:
        if self.training:
            super().update_center(teacher_out)
