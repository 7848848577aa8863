from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geozoo.population.packs import (
    EVALUATED_AT_ONCE,
    EVALUATED_AT_ONCE_ON_GPU,
    MEMORY_FRACTION,
    free_memory,
    peak_memory,
    sizes_in_memory,
    sizes_on_cpu,
)

members = st.integers(1, 100_000)
batch_sizes = st.integers(1, 2048)
memories = st.integers(0, 200 * 2**30)
needs = st.integers(0, 2**36)


@settings(deadline=None)
@given(members)
def test_on_a_cpu_all_members_are_trained_at_once_and_evaluated_within_the_cache(count: int) -> None:
    sizes = sizes_on_cpu(count)
    assert sizes.members == count
    assert sizes.images >= 1
    assert sizes.images == 1 or sizes.images * count <= EVALUATED_AT_ONCE


@settings(deadline=None)
@given(members, batch_sizes, memories, needs)
def test_a_pack_takes_no_more_memory_than_allowed_unless_it_is_one_member(
    count: int, batch_size: int, free: int, need: int
) -> None:
    sizes = sizes_in_memory(count, batch_size, free, need)
    assert 1 <= sizes.members <= count
    assert sizes.members == 1 or sizes.members * need <= MEMORY_FRACTION * free


@settings(deadline=None)
@given(members, batch_sizes, memories, st.integers(1, 2**36))
def test_a_pack_is_as_large_as_fits(count: int, batch_size: int, free: int, need: int) -> None:
    sizes = sizes_in_memory(count, batch_size, free, need)
    assert sizes.members == count or (sizes.members + 1) * need > MEMORY_FRACTION * free * (1 - 1e-12)


@settings(deadline=None)
@given(members, batch_sizes, memories, needs)
def test_evaluating_a_pack_takes_no_more_than_its_training_unless_it_is_one_image(
    count: int, batch_size: int, free: int, need: int
) -> None:
    """A training step keeps more of every image than an evaluation does."""
    sizes = sizes_in_memory(count, batch_size, free, need)
    assert sizes.images >= 1
    if sizes.images > 1:
        assert sizes.images * sizes.members <= EVALUATED_AT_ONCE_ON_GPU
        assert sizes.images * sizes.members * need / batch_size <= MEMORY_FRACTION * free * (1 + 1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="measures the memory of a GPU, and there is none")
def test_the_peak_of_a_call_is_what_it_takes_beyond_what_is_there() -> None:
    kept = torch.empty(2**20, device="cuda")
    before = free_memory()
    assert peak_memory(lambda: torch.empty(2**22, dtype=torch.uint8, device="cuda")) == 2**22
    assert free_memory() == pytest.approx(before, abs=2**24)
    assert kept.numel() == 2**20
