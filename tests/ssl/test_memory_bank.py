from __future__ import annotations

import itertools
import re
from collections import deque

import pytest
import torch

from geozoo.errors import InputError
from geozoo.ssl.memory_bank import MemoryBank


def batches(*sizes: int) -> list[torch.Tensor]:
    """Rows numbered from 0."""
    numbers = itertools.count()
    return [torch.tensor([[float(next(numbers))] * 2 for _ in range(size)]).view(-1, 2) for size in sizes]


@pytest.mark.parametrize("sizes", [(2,), (2, 2), (2, 2, 2), (3, 4, 5, 1), (0, 3), (12,), (2, 12, 3)])
def test_the_bank_holds_the_last_rows(sizes: tuple[int, ...]) -> None:
    bank, expected = MemoryBank(5, 2), deque[float](maxlen=5)
    for batch in batches(*sizes):
        bank.push(batch)
        expected.extend(batch[:, 0].tolist())
        assert sorted(bank.stored()[:, 0].tolist()) == sorted(expected)


def test_a_restored_bank_goes_on_as_if_never_stopped() -> None:
    first, second, third = batches(3, 4, 2)
    whole, stopped, restored = MemoryBank(5, 2), MemoryBank(5, 2), MemoryBank(5, 2)
    for batch in (first, second, third):
        whole.push(batch)
    for batch in (first, second):
        stopped.push(batch)
    restored.load_state_dict(stopped.state_dict())
    restored.push(third)
    assert torch.equal(restored.stored(), whole.stored())


def test_stored_rows_carry_no_gradient_and_stay_when_the_bank_moves_on() -> None:
    bank = MemoryBank(2, 2).double()
    first, second = batches(2, 2)
    bank.push(first.double().requires_grad_())
    before = bank.stored()
    bank.push(second)
    assert not before.requires_grad
    assert before.dtype == torch.float64
    assert torch.equal(before, first.double())


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match=re.escape("for embeddings [n, 2] got (3, 4)")):
        MemoryBank(5, 2).push(torch.zeros(3, 4))
