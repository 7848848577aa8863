from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geozoo.ssl.losses.miners import false_negative_rate, mine_negatives
from tests.support.embeddings import two_views

PLACES = 6


def mined(miner: str, similarity: str) -> torch.Tensor:
    """What the miners should find, by comparing rows one by one."""
    rows = torch.cat(two_views(PLACES, noise=1.5))
    unit = rows if similarity == "dot" else F.normalize(rows)
    mask = torch.zeros(2 * PLACES, 2 * PLACES, dtype=torch.bool)
    for anchor in range(2 * PLACES):
        far = [
            float((unit[anchor] - other).norm() if similarity == "euclidean" else -unit[anchor] @ other)
            for other in unit
        ]
        others = [row for row in range(2 * PLACES) if row % PLACES != anchor % PLACES]
        if miner == "semi_hard":
            others = [row for row in others if far[row] > far[(anchor + PLACES) % (2 * PLACES)]]
        if miner != "none":
            others = sorted(others, key=lambda row: far[row])[:1]
        mask[anchor, others] = True
    return mask


@pytest.mark.parametrize("similarity", ["euclidean", "cosine", "dot"])
@pytest.mark.parametrize("miner", ["none", "hard", "semi_hard"])
def test_miners_find_what_they_say(miner: str, similarity: str) -> None:
    embeddings = torch.cat(two_views(PLACES, noise=1.5)).requires_grad_()
    found = mine_negatives(miner, similarity, embeddings)  # type: ignore[arg-type]
    assert torch.equal(found, mined(miner, similarity))


def test_hard_and_semi_hard_differ_and_an_anchor_may_have_no_semi_hard_negative() -> None:
    hard, semi_hard = mined("hard", "euclidean"), mined("semi_hard", "euclidean")
    assert (hard != semi_hard).any()
    opposite = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    assert not mine_negatives("semi_hard", "euclidean", opposite).any()


def test_false_negatives_are_counted() -> None:
    groups = torch.tensor([0, 1, 0, 1])
    negatives = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()
    assert false_negative_rate(negatives, groups) == pytest.approx(2 / 5)
    assert false_negative_rate(torch.zeros_like(negatives), groups) == 0
