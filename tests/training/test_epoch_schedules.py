"""Schedules that move once an epoch, against torch's own loops and closed forms."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from geozoo.training.optimizers import make_schedule
from geozoo.training.settings import ScheduleSettings

MILESTONES = ScheduleSettings(name="milestones", milestones=(2, 4))
COSINE = ScheduleSettings(name="epoch_cosine", t_max=7, begin=2)


def two_groups() -> torch.optim.Optimizer:
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    return torch.optim.Adam([{"params": weights[:1], "lr": 0.5}, {"params": weights[1:], "lr": 0.02}])


def rates_of(settings: ScheduleSettings, epochs: int, stopped_after: int | None = None) -> list[list[float]]:
    """The rates of both groups in every epoch of three steps; stopped and continued where that is asked for."""
    optimizer = two_groups()
    schedule = make_schedule(optimizer, settings, epochs * 3)
    rates = []
    for epoch in range(epochs):
        if epoch == stopped_after:
            saved = io.BytesIO()
            torch.save([optimizer.state_dict(), schedule.state_dict()], saved)
            states: list[dict[str, Any]] = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
            optimizer = two_groups()
            schedule = make_schedule(optimizer, settings, epochs * 3)
            optimizer.load_state_dict(states[0])
            schedule.load_state_dict(states[1])
        for _ in range(3):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(1.0)
    assert all(rates[3 * epoch] == rates[3 * epoch + 2] for epoch in range(epochs)), "it moved within an epoch"
    return rates[::3]


def test_milestones_divide_by_ten() -> None:
    expected = [[rate * factor for rate in (0.5, 0.02)] for factor in (1, 1, 0.1, 0.1, 0.01, 0.01)]
    torch.testing.assert_close(rates_of(MILESTONES, 6), expected)


def test_the_published_loop_that_steps_its_cosine_every_epoch() -> None:
    """``if epoch >= begin: scheduler.step()`` at the end of every epoch, of torch's CosineAnnealingLR."""
    optimizer = two_groups()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    expected = []
    for epoch in range(9):
        expected.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if epoch >= 2:
            scheduler.step()
    found = rates_of(COSINE, 9)
    assert found == expected
    closed = [0.5 * (1 + math.cos(math.pi * max(0, epoch - 2) / 7)) / 2 for epoch in range(9)]
    torch.testing.assert_close([rates[0] for rates in found], closed)


def test_as_published_the_rate_hardly_moves() -> None:
    """201 epochs of a cosine made for 903: a tenth is lost at the end."""
    last = rates_of(ScheduleSettings(name="epoch_cosine", t_max=903, begin=10), 201)[-1][0]
    assert last / 0.5 == pytest.approx((1 + math.cos(math.pi * 190 / 903)) / 2)
    assert last / 0.5 > 0.89


@pytest.mark.parametrize("settings", [MILESTONES, COSINE], ids=lambda settings: settings.name)
@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_run_that_goes_on(settings: ScheduleSettings, epoch: int) -> None:
    assert rates_of(settings, 6, stopped_after=epoch) == rates_of(settings, 6)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"name": "milestones"}, "lists milestones"),
        ({"name": "cosine", "milestones": [3]}, "lists milestones"),
        ({"name": "epoch_cosine"}, "has a t_max"),
        ({"name": "constant", "t_max": 3}, "has a t_max"),
        ({"name": "milestones", "milestones": [0]}, "greater than or equal to 1"),
    ],
)
def test_schedules_that_do_not_say_when(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        ScheduleSettings.model_validate(fields)
