from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses as library
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity, LpDistance
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import ContrastiveOptions, LiftedStructuredOptions, NPairOptions, TripletOptions
from tests.support.embeddings import two_views

PLACES = 5
ROWS = range(2 * PLACES)
EXACT = {"rtol": 1e-10, "atol": 1e-12}


class Squared(MeanReducer):
    """Means of the squares of what the library calls the losses."""

    def element_reduction(self, losses: Tensor, *_: object) -> Tensor:
        return losses.square().mean()


def stacked() -> tuple[Tensor, Tensor]:
    """Both views as one batch, and the place of every row: what the library takes."""
    return torch.cat(two_views(PLACES)), torch.arange(PLACES).repeat(2)


def distance(i: int, j: int, kind: str) -> float:
    a, b = (stacked()[0][row] for row in (i, j))
    if kind == "dot":
        return -float(a @ b)
    a, b = a / a.norm(), b / b.norm()
    return float((a - b).norm()) if kind == "euclidean" else 1 - float(a @ b)


def positive_of(row: int) -> int:
    return (row + PLACES) % (2 * PLACES)


def negatives_of(row: int) -> list[int]:
    return [other for other in ROWS if other % PLACES != row % PLACES]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
@pytest.mark.parametrize("margin", [0.6, 1.3])
def test_contrastive_is_the_papers(kind: str, margin: float) -> None:
    options = ContrastiveOptions.model_validate({"margin": margin, "similarity": kind})
    pulls = [distance(row, positive_of(row), kind) ** 2 for row in ROWS]
    pushes = [max(0, margin - distance(row, other, kind)) ** 2 for row in ROWS for other in negatives_of(row)]
    assert float(make_loss(options)(*two_views(PLACES))["loss"]) == pytest.approx(mean(pulls) + mean(pushes), rel=1e-10)


def test_contrastive_is_the_librarys_with_squares() -> None:
    theirs = library.ContrastiveLoss(neg_margin=1.2, reducer=Squared())(*stacked())
    ours = make_loss(ContrastiveOptions(margin=1.2))(*two_views(PLACES))["loss"]
    torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("kind", ["euclidean", "cosine", "dot"])
@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_triplet_is_the_papers(kind: str, margin: float) -> None:
    power = 2 if kind == "euclidean" else 1
    hinges = [
        max(0, distance(row, positive_of(row), kind) ** power - distance(row, other, kind) ** power + margin)
        for row in ROWS
        for other in negatives_of(row)
    ]
    options = TripletOptions.model_validate({"margin": margin, "similarity": kind})
    assert float(make_loss(options)(*two_views(PLACES))["loss"]) == pytest.approx(mean(hinges), rel=1e-10)


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("euclidean", LpDistance(power=2)),
        ("cosine", CosineSimilarity()),
        ("dot", DotProductSimilarity(normalize_embeddings=False)),
    ],
)
def test_triplet_is_the_librarys(kind: str, measure: object) -> None:
    theirs = library.TripletMarginLoss(margin=0.4, distance=measure, reducer=MeanReducer())(*stacked())
    options = TripletOptions.model_validate({"margin": 0.4, "similarity": kind})
    torch.testing.assert_close(make_loss(options)(*two_views(PLACES))["loss"], theirs, **EXACT)


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
def test_lifted_structured_is_the_papers(kind: str) -> None:
    margin, total = 1.1, 0.0
    for i in range(PLACES):
        j = positive_of(i)
        pushes = [math.exp(margin - distance(side, other, kind)) for side in (i, j) for other in negatives_of(side)]
        total += max(0, distance(i, j, kind) + math.log(math.fsum(pushes))) ** 2
    options = LiftedStructuredOptions.model_validate({"margin": margin, "similarity": kind})
    assert float(make_loss(options)(*two_views(PLACES))["loss"]) == pytest.approx(total / (2 * PLACES), rel=1e-10)


def test_lifted_structured_is_the_librarys() -> None:
    theirs = library.LiftedStructureLoss(neg_margin=1.0, reducer=MeanReducer())(*stacked())
    ours = make_loss(LiftedStructuredOptions())(*two_views(PLACES))["loss"]
    torch.testing.assert_close(ours, theirs, **EXACT)


def test_n_pair_is_the_papers_and_the_librarys() -> None:
    first, second = two_views(PLACES)
    written = [
        math.log(1 + sum(math.exp(float(f @ second[j] - f @ second[i])) for j in range(PLACES) if j != i))
        for i, f in enumerate(first)
    ]
    ours = make_loss(NPairOptions())(first, second)["loss"]
    assert float(ours) == pytest.approx(mean(written), rel=1e-10)
    torch.testing.assert_close(
        ours, library.NPairsLoss(distance=DotProductSimilarity(normalize_embeddings=False))(*stacked()), **EXACT
    )


def test_n_pair_can_bound_lengths() -> None:
    first, second = two_views(PLACES)
    without, with_l2 = (float(make_loss(NPairOptions(l2=weight))(first, second)["loss"]) for weight in (0.0, 0.3))
    lengths = [float(row.square().sum()) for row in stacked()[0]]
    assert with_l2 - without == pytest.approx(0.3 * mean(lengths), rel=1e-10)


OPTIONS = [
    *(ContrastiveOptions.model_validate({"similarity": kind}) for kind in ("euclidean", "cosine")),
    *(TripletOptions.model_validate({"similarity": kind}) for kind in ("euclidean", "cosine", "dot")),
    *(LiftedStructuredOptions.model_validate({"similarity": kind}) for kind in ("euclidean", "cosine")),
    *(TripletOptions.model_validate({"miner": miner}) for miner in ("hard", "semi_hard")),
    *(ContrastiveOptions.model_validate({"miner": miner}) for miner in ("hard", "semi_hard")),
    *(LiftedStructuredOptions.model_validate({"miner": miner}) for miner in ("hard", "semi_hard")),
    NPairOptions(l2=0.1),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_those_of_finite_differences(options: ContrastiveOptions) -> None:
    loss = make_loss(options)
    views = [view.requires_grad_() for view in two_views(PLACES)]
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b)["loss"], views)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equal_embeddings_have_a_finite_gradient(options: ContrastiveOptions) -> None:
    views = [torch.ones(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    make_loss(options)(*views)["loss"].backward()
    assert all(view.grad is not None and view.grad.isfinite().all() for view in views)


def test_mined_negatives_replace_the_others() -> None:
    embeddings = F.normalize(stacked()[0])
    distances = torch.cdist(embeddings, embeddings)
    hardest = [min(float(distances[row, other]) for other in negatives_of(row)) for row in ROWS]
    positives = [float(distances[row, positive_of(row)]) for row in ROWS]
    triplets = [max(0, near**2 - far**2 + 0.5) for near, far in zip(positives, hardest, strict=True)]
    pushes = [max(0, 1 - far) ** 2 for far in hardest]
    lifted = [
        max(0, positives[i] + math.log(math.exp(1 - hardest[i]) + math.exp(1 - hardest[positive_of(i)]))) ** 2
        for i in range(PLACES)
    ]
    expected = {
        TripletOptions(miner="hard", margin=0.5): mean(triplets),
        ContrastiveOptions(miner="hard"): mean([near**2 for near in positives]) + mean(pushes),
        LiftedStructuredOptions(miner="hard"): mean(lifted) / 2,
    }
    for options, value in expected.items():
        terms = make_loss(options)(*two_views(PLACES))
        assert float(terms["loss"]) == pytest.approx(value, rel=1e-10)
        assert terms["negatives_per_anchor"] == 1


@pytest.mark.parametrize("miner", ["none", "hard"])
def test_false_negatives_are_logged_where_groups_are_known(miner: str) -> None:
    loss = make_loss(TripletOptions.model_validate({"miner": miner}))
    first, second = two_views(PLACES)
    assert "false_negative_rate" not in loss(first, second)
    groups = torch.tensor([7, 2, 7, 2, 2])
    embeddings = F.normalize(stacked()[0])
    pairs = [(row, other) for row in ROWS for other in negatives_of(row)]
    if miner == "hard":
        nearest = itertools.groupby(pairs, lambda pair: pair[0])
        pairs = [
            min(group, key=lambda pair: float((embeddings[pair[0]] - embeddings[pair[1]]).norm()))
            for _, group in nearest
        ]
    rate = mean([float(groups[a % PLACES] == groups[b % PLACES]) for a, b in pairs])
    assert 0 < rate < 1
    assert float(loss(first, second, groups=groups)["false_negative_rate"]) == pytest.approx(rate)
