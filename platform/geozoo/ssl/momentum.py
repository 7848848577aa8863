"""Teachers that follow their student: momentum encoders of MoCo, BYOL and DINO, with lightly's updates."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def make_teacher(student: nn.Module) -> nn.Module:
    """A copy of the student that no optimiser moves."""
    from lightly.models.utils import deactivate_requires_grad

    teacher = copy.deepcopy(student)
    deactivate_requires_grad(teacher)
    return teacher


def update_teacher(student: nn.Module, teacher: nn.Module, momentum: float) -> None:
    """Set every parameter to ``momentum`` times the teacher's plus (1 - ``momentum``) times the student's, in place.

    Call it after the optimiser's step, on every worker. Buffers stay: running statistics are those of what the teacher
    itself has seen. For a momentum that rises along a cosine see ``lightly.utils.scheduler.cosine_schedule``.
    """
    from lightly.models.utils import update_momentum

    update_momentum(student, teacher, momentum)
