from __future__ import annotations

import pytest
import torch

from geozoo.population.optimizers import OPTIMIZERS, CohortSettings
from geozoo.recipe.space import OPTIMIZER_NAMES
from tests.support.population import hyperparameters


def test_the_recipe_knows_the_optimizers_there_are() -> None:
    assert set(OPTIMIZERS) == set(OPTIMIZER_NAMES)


@pytest.mark.parametrize("name", OPTIMIZER_NAMES)
def test_fifty_cohort_updates_equal_torch_optim(name: str) -> None:
    """Same gradients, every member its own settings, float64: equal to rounding."""
    members = [
        hyperparameters(optimizer=name, lr=lr, weight_decay=decay, momentum=momentum)
        for lr in (1e-3, 3e-2)
        for decay in (0.0, 1e-1)
        for momentum in (0.0, 0.9)
    ]
    torch.manual_seed(0)
    weights = torch.randn(len(members), 17, dtype=torch.float64)
    singles = [row.clone().requires_grad_() for row in weights]
    optimizers = [OPTIMIZERS[name].reference([single], m) for single, m in zip(singles, members, strict=True)]
    cohort = OPTIMIZERS[name].cohort(CohortSettings.of(members, torch.float64), weights)
    for _ in range(50):
        gradients = torch.randn_like(weights)
        for single, optimizer, gradient in zip(singles, optimizers, gradients, strict=True):
            single.grad = gradient.clone()
            optimizer.step()
        cohort.step(weights, gradients.clone())
    torch.testing.assert_close(weights, torch.stack([single.detach() for single in singles]), rtol=1e-10, atol=1e-12)
