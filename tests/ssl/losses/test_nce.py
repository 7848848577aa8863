from __future__ import annotations

import math

import lightly.loss
import pytest
import torch
from pytorch_metric_learning import losses as library
from pytorch_metric_learning.distances import DotProductSimilarity, LpDistance
from torch import Tensor

from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import DclOptions, InfoNceOptions, NtXentOptions
from tests.support.embeddings import two_views

PLACES, TEMPERATURE = 5, 0.3
EXACT = {"rtol": 1e-10, "atol": 1e-12}
SIMILARITIES = ["cosine", "dot", "euclidean"]


def similarity(a: Tensor, b: Tensor, kind: str) -> float:
    if kind == "dot":
        return float(a @ b)
    a, b = a / a.norm(), b / b.norm()
    return float(a @ b) if kind == "cosine" else -float((a - b).norm())


def cross_entropy(anchor: Tensor, positive: Tensor, negatives: list[Tensor], kind: str, own: bool = True) -> float:
    """-log of the positive's share; ``own``: whether it is in the denominator."""
    numerator = math.exp(similarity(anchor, positive, kind) / TEMPERATURE)
    rest = math.fsum(math.exp(similarity(anchor, other, kind) / TEMPERATURE) for other in negatives)
    return -math.log(numerator / (own * numerator + rest))


def queues() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return (
        torch.randn(3, 4, generator=generator, dtype=torch.float64),
        torch.randn(2, 4, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("with_queues", [False, True])
def test_info_nce_has_negatives_of_the_other_sensor_only(kind: str, with_queues: bool) -> None:
    first, second = two_views(PLACES)
    old_first, old_second = queues() if with_queues else ((), ())
    total = 0.0
    for i in range(PLACES):
        others = [j for j in range(PLACES) if j != i]
        total += cross_entropy(first[i], second[i], [*(second[j] for j in others), *old_second], kind)
        total += cross_entropy(second[i], first[i], [*(first[j] for j in others), *old_first], kind)
    options = InfoNceOptions.model_validate({"temperature": TEMPERATURE, "similarity": kind})
    ours = make_loss(options)(first, second, queues=queues() if with_queues else None)["loss"]
    assert float(ours) == pytest.approx(total / (2 * PLACES), rel=1e-10)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("with_queues", [False, True])
def test_nt_xent_has_negatives_of_both_sensors(kind: str, with_queues: bool) -> None:
    first, second = two_views(PLACES)
    rows = [*first, *second]
    old = [row for queue in queues() for row in queue] if with_queues else []
    total = 0.0
    for i, row in enumerate(rows):
        positive = (i + PLACES) % (2 * PLACES)
        negatives = [other for j, other in enumerate(rows) if j not in (i, positive)]
        total += cross_entropy(row, rows[positive], negatives + old, kind)
    options = NtXentOptions.model_validate({"temperature": TEMPERATURE, "similarity": kind})
    ours = make_loss(options)(first, second, queues=queues() if with_queues else None)["loss"]
    assert float(ours) == pytest.approx(total / (2 * PLACES), rel=1e-10)


@pytest.mark.parametrize(
    ("kind", "distance"),
    [("cosine", None), ("dot", DotProductSimilarity(normalize_embeddings=False)), ("euclidean", LpDistance())],
)
def test_nt_xent_is_that_of_pytorch_metric_learning(kind: str, distance: object) -> None:
    theirs = library.SelfSupervisedLoss(library.NTXentLoss(TEMPERATURE, distance=distance))(*two_views(PLACES))
    options = NtXentOptions.model_validate({"temperature": TEMPERATURE, "similarity": kind})
    torch.testing.assert_close(make_loss(options)(*two_views(PLACES))["loss"], theirs, **EXACT)


def test_nt_xent_is_lightlys() -> None:
    theirs = lightly.loss.NTXentLoss(TEMPERATURE)(*two_views(PLACES))
    ours = make_loss(NtXentOptions(temperature=TEMPERATURE))(*two_views(PLACES))["loss"]
    torch.testing.assert_close(ours, theirs, **EXACT)


def test_info_nce_is_pytorch_metric_learnings_in_both_directions() -> None:
    views = two_views(PLACES)
    one_way = library.SelfSupervisedLoss(library.NTXentLoss(TEMPERATURE), symmetric=False)
    theirs = (one_way(*views) + one_way(*views[::-1])) / 2
    ours = make_loss(InfoNceOptions(temperature=TEMPERATURE))(*views)["loss"]
    torch.testing.assert_close(ours, theirs, **EXACT)


def test_dcl_is_nt_xent_without_the_positive_below() -> None:
    first, second = two_views(PLACES)
    rows = [*first, *second]
    total = 0.0
    for i, row in enumerate(rows):
        positive = (i + PLACES) % (2 * PLACES)
        negatives = [other for j, other in enumerate(rows) if j not in (i, positive)]
        total += cross_entropy(row, rows[positive], negatives, "cosine", own=False)
    ours = make_loss(DclOptions(temperature=TEMPERATURE))(first, second)["loss"]
    assert float(ours) == pytest.approx(total / (2 * PLACES), rel=1e-10)


def test_orthogonal_pairs_have_a_closed_form() -> None:
    axes = torch.eye(PLACES, dtype=torch.float64)
    share = math.exp(1 / TEMPERATURE)
    cross, both = PLACES - 1, 2 * PLACES - 2
    for options, negatives in ((InfoNceOptions, cross), (NtXentOptions, both)):
        loss = make_loss(options(temperature=TEMPERATURE))(axes, axes)["loss"]
        assert float(loss) == pytest.approx(math.log(1 + negatives / share), rel=1e-12)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("options", [InfoNceOptions, NtXentOptions])
def test_gradients_are_those_of_finite_differences(options: type[InfoNceOptions], kind: str) -> None:
    loss = make_loss(options.model_validate({"temperature": TEMPERATURE, "similarity": kind}))
    views = [view.requires_grad_() for view in two_views(PLACES)]
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, queues=queues())["loss"], views)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b)["loss"], views)
