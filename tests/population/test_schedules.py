from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from geozoo.population.schedules import OneCycle


@pytest.mark.parametrize("total", [1, 2, 3, 4, 7, 10, 33, 100, 1000])
def test_one_cycle_is_torchs(total: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3, momentum=0.9)
    schedule = OneCycleLR(optimizer, 0.3, total)
    ours = OneCycle(total)
    for step in range(total):
        (group,) = optimizer.param_groups
        assert 0.3 * ours.rate(step) == pytest.approx(group["lr"], rel=1e-12)
        assert ours.momentum(step) == pytest.approx(group["momentum"], rel=1e-12)
        optimizer.step()
        schedule.step()
