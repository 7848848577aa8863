"""The options of the losses between two sensors, checked before anything heavy is loaded."""

from __future__ import annotations

from typing import Literal

from geozoo.recipe.space import Count, Fraction, Frozen, NonNegative, Positive

Similarity = Literal["cosine", "dot", "euclidean"]
"""``cosine``, ``dot``: the product of vectors as they are, ``euclidean``: minus the distance of vectors of length 1."""

Miner = Literal["none", "hard", "semi_hard"]
"""Which negatives count: all, the nearest of each anchor, or the nearest that is farther than its positive."""


class LossOptions(Frozen):
    """Options of the loss ``name``, one of ``geozoo.ssl.losses.LOSSES``."""

    name: str


class ContrastiveOptions(LossOptions):
    """Options of ``contrastive``: negatives are pushed to the distance ``margin``."""

    name: Literal["contrastive"] = "contrastive"
    margin: Positive = 1.0
    similarity: Literal["cosine", "euclidean"] = "euclidean"
    miner: Miner = "none"


class TripletOptions(LossOptions):
    """Options of ``triplet``: a negative should be farther than the positive by ``margin``."""

    name: Literal["triplet"] = "triplet"
    margin: Positive = 0.2
    similarity: Similarity = "euclidean"
    miner: Miner = "none"


class LiftedStructuredOptions(LossOptions):
    """Options of ``lifted_structured``: negatives are pushed to the distance ``margin``."""

    name: Literal["lifted_structured"] = "lifted_structured"
    margin: Positive = 1.0
    similarity: Literal["cosine", "euclidean"] = "euclidean"
    miner: Miner = "none"


class NPairOptions(LossOptions):
    """Options of ``n_pair``: ``l2`` weighs the mean squared length of the embeddings, which are not normalised."""

    name: Literal["n_pair"] = "n_pair"
    l2: NonNegative = 0.0


class InfoNceOptions(LossOptions):
    """Options of ``info_nce``."""

    name: Literal["info_nce"] = "info_nce"
    temperature: Positive = 0.07
    similarity: Similarity = "cosine"


class NtXentOptions(LossOptions):
    """Options of ``nt_xent``."""

    name: Literal["nt_xent"] = "nt_xent"
    temperature: Positive = 0.07
    similarity: Similarity = "cosine"


class DclOptions(LossOptions):
    """Options of ``dcl``."""

    name: Literal["dcl"] = "dcl"
    temperature: Positive = 0.1


class BarlowTwinsOptions(LossOptions):
    """Options of ``barlow_twins``: ``redundancy`` weighs the correlations between different dimensions."""

    name: Literal["barlow_twins"] = "barlow_twins"
    redundancy: NonNegative = 5e-3


class VicRegOptions(LossOptions):
    """Options of ``vicreg``: the weights of its three terms."""

    name: Literal["vicreg"] = "vicreg"
    invariance: NonNegative = 25.0
    variance: NonNegative = 25.0
    covariance: NonNegative = 1.0


class MmaOptions(LossOptions):
    """Options of ``mma``; for ``overlap`` see `geozoo.ssl.losses.spatial.map_similarity`."""

    name: Literal["mma"] = "mma"
    temperature: Positive = 0.1
    overlap: Literal["full", "none"] = "full"


class ByolOptions(LossOptions):
    """Options of ``byol``: there are none."""

    name: Literal["byol"] = "byol"


class DinoOptions(LossOptions):
    """Options of ``dino``: ``prototypes`` is the width of student and teacher outputs."""

    name: Literal["dino"] = "dino"
    prototypes: Count = 4096
    student_temperature: Positive = 0.1
    teacher_temperature: Positive = 0.04
    center_momentum: Fraction = 0.9
