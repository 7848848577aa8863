"""Learning from a teacher that follows: MoCo, BYOL and DINO on two views of each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geozoo.ssl.collapse import spread
from geozoo.ssl.losses.make import make_asymmetric_loss, make_loss
from geozoo.ssl.losses.registry import find_loss
from geozoo.ssl.momentum import make_teacher, update_teacher
from geozoo.ssl.system import Embedder, make_banks, push, stored
from geozoo.training.distributed import gather_rows

if TYPE_CHECKING:
    from geozoo.ssl.experiment import SslExperiment
    from geozoo.ssl.stream import ChipBatch
    from geozoo.ssl.views import Views
    from geozoo.training.distributed import World
    from geozoo.weights.draws import RowDraws


class TeacherSystem(nn.Module):
    """A student whose view of a chip should say what the teacher's other view says; both ways, halved.

    ``info_nce`` and ``nt_xent`` contrast student and teacher embeddings, with a memory of the teacher's as further
    negatives (MoCo v3 with a queue). ``byol`` compares a predictor of the student with the teacher, ``dino``
    distributions over prototypes. The teacher moves at the start of the next training step, which is after the
    optimiser's; its BatchNorm normalises by the batch, as its student's does.

    Deviation: the momentum is constant, where BYOL, DINO and MoCo v3 let it rise to 1 along a cosine.
    """

    def __init__(self, views: Views, experiment: SslExperiment, world: World) -> None:
        super().__init__()
        assert experiment.teacher is not None
        self.experiment = experiment
        self.momentum = experiment.teacher.momentum
        self.student = Embedder(views, experiment.projection)
        self.teacher = make_teacher(self.student)
        self.asymmetric = find_loss(experiment.loss.name).asymmetric
        width = self.student.width
        self.predictor: nn.Module = _predictor(width) if experiment.loss.name == "byol" else nn.Identity()
        self.measure: Any = make_asymmetric_loss(experiment.loss) if self.asymmetric else make_loss(experiment.loss)
        self.banks = make_banks(experiment, width)
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))
        self.world = world

    begun: Tensor

    @property
    def views(self) -> Views:
        """The encoders that are kept: the student's."""
        return self.student.views

    def forward(self, batch: ChipBatch, draws: RowDraws) -> dict[str, Tensor]:
        """This worker's share of the terms of a batch."""
        if self.training:
            if bool(self.begun):
                update_teacher(self.student, self.teacher, self.momentum)
            self.begun.fill_(True)
        drawn = self.student.draw(batch, self.experiment, draws)
        said = self._gathered([self.predictor(view) for view in self.student.pair(drawn)], batch.total)
        with torch.no_grad():
            taught = self._gathered(list(self.teacher.pair(drawn)), batch.total)  # type: ignore[operator]
        terms = self._compare(said, taught)
        if self.training:
            push(self.banks, *taught)
        terms["spread"] = spread(torch.cat(said))
        return {name: term / self.world.size for name, term in terms.items()}

    def _compare(self, said: list[Tensor], taught: list[Tensor]) -> dict[str, Tensor]:
        if self.asymmetric:
            terms: dict[str, Tensor] = self.measure(said, taught)
            return terms
        queues = stored(self.banks)
        swapped = (queues[1], queues[0]) if queues else None
        ways = (
            self.measure(said[0], taught[1], queues=queues),
            self.measure(said[1], taught[0], queues=swapped),
        )
        return {name: (ways[0][name] + ways[1][name]) / 2 for name in ways[0]}

    def _gathered(self, views: list[Tensor], total: int) -> list[Tensor]:
        return [gather_rows(view, total, self.world) for view in views]


def _predictor(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
