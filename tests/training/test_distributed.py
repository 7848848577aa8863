from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from geozoo.training.distributed import World, gather_rows, share, sum_over_workers
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 5


def rows(count: int = ROWS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_consecutive_even_and_complete(size: int) -> None:
    for total in (1, 5, 12):
        shares = [range(total)[share(total, World(rank, size))] for rank in range(size)]
        assert [row for part in shares for row in part] == list(range(total))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def pair_up(world: World) -> dict[str, torch.Tensor]:
    """Every worker weighs its anchors by all rows, as a contrastive loss does: the sum over workers is known."""
    local = rows()[share(ROWS, world)].clone().requires_grad_()
    everyone = gather_rows(local, ROWS, world)
    loss = (local @ everyone.T).pow(3).sum() + sum_over_workers(local.sum(0)).pow(2).sum() / world.size
    loss.backward()
    assert local.grad is not None
    return {"everyone": everyone.detach(), "loss": loss.detach(), "gradient": local.grad}


@pytest.mark.parametrize("size", [2, 4, 7])
def test_gathering_and_summing_carry_the_gradient_of_one_process(size: int, tmp_path: Path) -> None:
    alone = pair_up(World())
    parts = on_workers(size, tmp_path, pair_up)
    for part in parts:
        assert torch.equal(part["everyone"], rows())
    torch.testing.assert_close(sum(part["loss"] for part in parts), alone["loss"], rtol=1e-12, atol=0)
    gradients = torch.cat([part["gradient"] for part in parts])
    torch.testing.assert_close(gradients, alone["gradient"], rtol=1e-12, atol=1e-12)
