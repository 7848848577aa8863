from __future__ import annotations

import pytest
import torch

from geozoo.ssl.losses import LOSSES
from geozoo.ssl.losses.make import make_loss
from tests.support.embeddings import two_maps, two_views

SYMMETRIC = sorted(name for name, record in LOSSES.items() if not record.asymmetric)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_losses_keep_float64_and_leave_bfloat16_for_float32(name: str) -> None:
    record = LOSSES[name]
    loss = make_loss(record.options(name=name))
    views = two_maps() if record.maps else two_views()
    assert loss(*views)["loss"].dtype == torch.float64
    halves = [view.bfloat16().requires_grad_() for view in views]
    with torch.autocast("cpu", torch.bfloat16):
        under = loss(*halves)["loss"]
    assert under.dtype == torch.float32
    assert torch.equal(under, loss(*[view.detach().float() for view in halves])["loss"])
    under.backward()
    assert all(view.grad is not None and view.grad.any() for view in halves)
