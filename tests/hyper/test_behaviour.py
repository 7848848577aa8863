"""The behavioural loss against torch.nn and a plain loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.hyper.behaviour import behaviour


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    """Decoded and original answers of 3 networks to 5 images in 4 classes, simulated."""
    generator = torch.Generator().manual_seed(0)
    decoded, original = (3 * torch.randn(3, 5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return decoded.requires_grad_(), original.requires_grad_()


def test_l2_is_the_mean_squared_error(logits: tuple[Tensor, Tensor]) -> None:
    decoded, original = logits
    torch.testing.assert_close(behaviour(decoded, original, "l2"), nn.MSELoss()(decoded, original))


def test_ce_is_the_cross_entropy_with_the_originals_predictions(logits: tuple[Tensor, Tensor]) -> None:
    decoded, original = logits
    expected = nn.CrossEntropyLoss()(decoded.view(15, 4), original.argmax(-1).view(15))
    torch.testing.assert_close(behaviour(decoded, original, "ce"), expected)


def test_distillation_equals_a_plain_loop(logits: tuple[Tensor, Tensor]) -> None:
    decoded, original = logits
    total = 0.0
    for n in range(3):
        for image in range(5):
            p = [math.exp(value / 2) for value in original[n, image].tolist()]
            q = [math.exp(value / 2) for value in decoded[n, image].tolist()]
            p, q = [value / sum(p) for value in p], [value / sum(q) for value in q]
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert behaviour(decoded, original, "distillation").item() == pytest.approx(4 * total / 15)


@pytest.mark.parametrize("kind", ["l2", "ce", "distillation"])
def test_only_the_decoded_answers_carry_a_gradient(logits: tuple[Tensor, Tensor], kind: str) -> None:
    decoded, original = logits
    behaviour(decoded, original, kind).backward()  # type: ignore[arg-type]
    assert decoded.grad is not None
    assert decoded.grad.abs().max() > 0
    assert original.grad is None
    target = original.detach()
    assert torch.autograd.gradcheck(lambda x: behaviour(x, target, kind), decoded)  # type: ignore[arg-type]


def test_the_same_answers_cost_nothing(logits: tuple[Tensor, Tensor]) -> None:
    decoded, _ = logits
    assert behaviour(decoded, decoded, "l2").item() == 0
    assert behaviour(decoded, decoded, "distillation").item() == pytest.approx(0, abs=1e-12)


def test_an_unknown_kind_is_refused(logits: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InputError, match="'kl' is no behavioural loss: choose one of l2, ce, distillation"):
        behaviour(*logits, "kl")  # type: ignore[arg-type]
