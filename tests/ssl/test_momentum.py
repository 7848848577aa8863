from __future__ import annotations

import torch
from torch import nn

from geozoo.ssl.momentum import make_teacher, update_teacher


def test_a_teacher_is_a_frozen_copy_that_follows() -> None:
    student = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    teacher = make_teacher(student)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in student.parameters())
    before = [parameter.clone() for parameter in teacher.parameters()]
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1
    for _ in range(2):
        update_teacher(student, teacher, 0.75)
    for parameter, old in zip(teacher.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.data, old + 1 - 0.75**2)


def test_running_statistics_are_the_teachers_own() -> None:
    student = nn.BatchNorm1d(3)
    teacher = make_teacher(student)
    student(torch.randn(4, 3))
    update_teacher(student, teacher, 0.5)
    assert torch.equal(teacher.running_mean, torch.zeros(3))  # type: ignore[arg-type]
