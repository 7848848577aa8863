"""From the options of a loss to a function of the embeddings of a whole batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import InputError
from geozoo.ssl.losses.registry import LOSSES, LossRecord, Views, find_loss
from geozoo.ssl.precision import wide_enough, without_autocast

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from geozoo.ssl.losses.options import LossOptions


@dataclass(frozen=True)
class PairLoss:
    """A loss between two sensors, a function of the whole batch: see `make_loss`."""

    record: LossRecord
    compute: Callable[[Views], dict[str, Tensor]]

    def __call__(
        self,
        first: Tensor,
        second: Tensor,
        *,
        queues: tuple[Tensor, Tensor] | None = None,
        groups: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The terms of a batch by name: ``loss``, the mean over its places, and what is logged beside it.

        Several workers gather both views with gradient (`geozoo.training.distributed.gather_rows`), each computes all
        of this and returns every term divided by the number of workers: the sums are those of one worker.

        Args:
            first: as in `Views`, in any floating-point type; computed in float32 at least, under autocast too.
            second: likewise.
            queues: as in `Views`; for ``info_nce`` and ``nt_xent``.
            groups: as in `Views`; read by the losses that have a miner.

        Raises:
            InputError: shapes that do not fit, fewer places than the loss is defined for, or queues that it cannot use.
        """
        self._check(first, second, queues)
        with without_autocast(first):
            wide = (wide_enough(queues[0]), wide_enough(queues[1])) if queues else None
            return self.compute(Views(wide_enough(first), wide_enough(second), wide, groups))

    def _check(self, first: Tensor, second: Tensor, queues: tuple[Tensor, Tensor] | None) -> None:
        name, axes = self.record.name, 4 if self.record.maps else 2
        if first.dim() != axes or second.dim() != axes or len(first) != len(second):
            wanted = "[n, c, h, w]" if self.record.maps else "[n, d]"
            raise InputError(
                f"loss {name!r} got the shapes {tuple(first.shape)} and {tuple(second.shape)}: pass two tensors "
                f"{wanted}, one row for each place."
            )
        if len(first) < self.record.least:
            raise InputError(
                f"loss {name!r} is not defined for a batch of {len(first)} place(s), it takes {self.record.least} at "
                "least: choose another batch size, or leave out the last batch."
            )
        if queues is not None and not self.record.queues:
            able = ", ".join(sorted(record.name for record in LOSSES.values() if record.queues))
            raise InputError(f"loss {name!r} has no use for a memory bank: choose one of {able}, or leave it out.")


def make_loss(options: LossOptions) -> PairLoss:
    """The loss of these options, for two views of every place.

    Raises:
        InputError: it needs a teacher: `make_asymmetric_loss` makes it.
    """
    record = find_loss(options.name)
    if record.asymmetric:
        raise InputError(f"loss {record.name!r} needs a teacher: make it with make_asymmetric_loss.")
    return PairLoss(record, record.build(options))


def make_asymmetric_loss(options: LossOptions) -> nn.Module:
    """The loss of these options, for a student that predicts what a teacher says about the other view.

    Its ``forward(student, teacher)`` takes the outputs ``[n, d]`` of both views of the whole batch, in the same order;
    the teacher's carry no gradient. Returns terms by name as a `PairLoss` does. It may have buffers: keep it as a part
    of the trained module.

    Raises:
        InputError: it needs no teacher: `make_loss` makes it.
    """
    record = find_loss(options.name)
    if not record.asymmetric:
        raise InputError(f"loss {record.name!r} needs no teacher: make it with make_loss.")
    module: nn.Module = record.build(options)
    return module
