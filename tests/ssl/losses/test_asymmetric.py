from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from geozoo.ssl.losses.make import make_asymmetric_loss
from geozoo.ssl.losses.options import ByolOptions, DinoOptions
from tests.support.embeddings import two_views

WIDTH = 4
OPTIONS = DinoOptions(prototypes=WIDTH, teacher_temperature=0.25, student_temperature=0.5, center_momentum=0.75)


def outputs() -> tuple[list[Tensor], list[Tensor]]:
    """Student and teacher outputs of two views."""
    first, second = two_views()
    return [first.requires_grad_(), second.requires_grad_()], [(2 * second - first).detach(), (first + 1).detach()]


def test_byol_is_the_squared_distance_of_unit_vectors() -> None:
    student, teacher = outputs()
    (one, two), (other_one, other_two) = (
        [view / view.norm(dim=1, keepdim=True) for view in views] for views in outputs()
    )
    expected = ((one - other_two).square().sum(1) + (two - other_one).square().sum(1)).mean()
    torch.testing.assert_close(make_asymmetric_loss(ByolOptions())(student, teacher)["loss"], expected)
    agreed = make_asymmetric_loss(ByolOptions())(teacher, teacher[::-1])["loss"]
    assert float(agreed) == pytest.approx(0, abs=1e-12)


def test_dino_is_the_cross_entropy_to_the_centred_teacher_of_the_other_view() -> None:
    loss = make_asymmetric_loss(OPTIONS).double()
    student, teacher = outputs()
    center = torch.zeros(WIDTH, dtype=torch.float64)
    for _ in range(2):
        targets = [((view - center) / 0.25).softmax(1) for view in teacher]
        said = [(view / 0.5).log_softmax(1) for view in student]
        expected = -((targets[0] * said[1]).sum(1) + (targets[1] * said[0]).sum(1)).mean() / 2
        torch.testing.assert_close(loss(student, teacher)["loss"], expected, rtol=1e-10, atol=0)
        center = 0.75 * center + 0.25 * torch.cat(teacher).mean(0)
    torch.testing.assert_close(dict(loss.named_buffers())["center.center"].flatten(), center)


def test_the_center_rests_in_evaluation_and_is_part_of_the_state() -> None:
    loss = make_asymmetric_loss(OPTIONS).double()
    student, teacher = outputs()
    loss(student, teacher)
    before = copy.deepcopy(loss.state_dict())
    assert before["center.center"].any()
    loss.eval()(student, teacher)
    assert torch.equal(loss.state_dict()["center.center"], before["center.center"])


@pytest.mark.parametrize("options", [ByolOptions(), OPTIONS], ids=str)
def test_teachers_get_no_gradient_and_students_that_of_finite_differences(options: ByolOptions) -> None:
    loss = make_asymmetric_loss(options).double().eval()
    student, teacher = outputs()
    watched = [view.requires_grad_() for view in teacher]
    loss(student, watched)["loss"].backward()
    assert all(view.grad is None for view in watched)
    assert torch.autograd.gradcheck(lambda *views: loss(views, teacher)["loss"], student)


@pytest.mark.parametrize("options", [ByolOptions(), OPTIONS], ids=str)
def test_autocast_computes_in_float32(options: ByolOptions) -> None:
    loss = make_asymmetric_loss(options).eval()
    student, teacher = ([view.detach().bfloat16() for view in views] for views in outputs())
    with torch.autocast("cpu", torch.bfloat16):
        under = loss(student, teacher)["loss"]
    assert under.dtype == torch.float32
    assert torch.equal(under, loss([view.float() for view in student], [view.float() for view in teacher])["loss"])
