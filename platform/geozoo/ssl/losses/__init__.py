"""What self-supervised learning across sensors minimises, by name. One registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from geozoo.ssl.losses import options as of
from geozoo.ssl.losses.registry import LOSSES, LossRecord, Views, find_loss, register_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    Compute = Callable[[Views], dict[str, Tensor]]

__all__ = ["LOSSES", "LossRecord", "Views", "find_loss", "register_loss"]


def _build_contrastive(options: of.ContrastiveOptions) -> Compute:
    from geozoo.ssl.losses.metric import contrastive

    return partial(contrastive, options)


def _build_triplet(options: of.TripletOptions) -> Compute:
    from geozoo.ssl.losses.metric import triplet

    return partial(triplet, options)


def _build_lifted_structured(options: of.LiftedStructuredOptions) -> Compute:
    from geozoo.ssl.losses.metric import lifted_structured

    return partial(lifted_structured, options)


def _build_n_pair(options: of.NPairOptions) -> Compute:
    from geozoo.ssl.losses.metric import n_pair

    return partial(n_pair, options)


def _build_info_nce(options: of.InfoNceOptions) -> Compute:
    from geozoo.ssl.losses.nce import info_nce

    return partial(info_nce, options)


def _build_nt_xent(options: of.NtXentOptions) -> Compute:
    from geozoo.ssl.losses.nce import nt_xent

    return partial(nt_xent, options)


def _build_dcl(options: of.DclOptions) -> Compute:
    from geozoo.ssl.losses.nce import build_dcl

    return build_dcl(options)


def _build_barlow_twins(options: of.BarlowTwinsOptions) -> Compute:
    from geozoo.ssl.losses.redundancy import build_barlow_twins

    return build_barlow_twins(options)


def _build_vicreg(options: of.VicRegOptions) -> Compute:
    from geozoo.ssl.losses.redundancy import build_vicreg

    return build_vicreg(options)


def _build_mma(options: of.MmaOptions) -> Compute:
    from geozoo.ssl.losses.spatial import mma

    return partial(mma, options)


def _build_byol(options: of.ByolOptions) -> nn.Module:
    from geozoo.ssl.losses.asymmetric import ByolLoss

    return ByolLoss(options)


def _build_dino(options: of.DinoOptions) -> nn.Module:
    from geozoo.ssl.losses.asymmetric import DinoLoss

    return DinoLoss(options)


for _record in (
    LossRecord(
        name="contrastive",
        summary="squared distance of positives, squared hinge of negatives (Hadsell et al., 2006)",
        options=of.ContrastiveOptions,
        build=_build_contrastive,
    ),
    LossRecord(
        name="triplet",
        summary="negatives farther than the positive by a margin (FaceNet, 2015)",
        options=of.TripletOptions,
        build=_build_triplet,
    ),
    LossRecord(
        name="lifted_structured",
        summary="each positive pair against all negatives of both its sides (Song et al., 2016)",
        options=of.LiftedStructuredOptions,
        build=_build_lifted_structured,
    ),
    LossRecord(
        name="n_pair",
        summary="cross-entropy of products with all places of the other sensor (Sohn, 2016)",
        options=of.NPairOptions,
        build=_build_n_pair,
    ),
    LossRecord(
        name="info_nce",
        summary="both directions between sensors, negatives of the other sensor only (CPC, CLIP)",
        options=of.InfoNceOptions,
        build=_build_info_nce,
        queues=True,
    ),
    LossRecord(
        name="nt_xent",
        summary="negatives of both sensors (SimCLR, Dual-SimCLR)",
        options=of.NtXentOptions,
        build=_build_nt_xent,
        queues=True,
    ),
    LossRecord(
        name="dcl",
        summary="NT-Xent without the positive in the denominator (Yeh et al., 2022)",
        options=of.DclOptions,
        build=_build_dcl,
        least=2,
    ),
    LossRecord(
        name="barlow_twins",
        summary="cross-correlation of dimensions is the identity (Zbontar et al., 2021)",
        options=of.BarlowTwinsOptions,
        build=_build_barlow_twins,
        least=2,
    ),
    LossRecord(
        name="vicreg",
        summary="invariance, variance and covariance of dimensions (Bardes et al., 2022)",
        options=of.VicRegOptions,
        build=_build_vicreg,
        least=2,
    ),
    LossRecord(
        name="mma",
        summary="contrast of feature maps by their largest correlation over shifts (Windsor et al., 2021)",
        options=of.MmaOptions,
        build=_build_mma,
        maps=True,
    ),
    LossRecord(
        name="byol",
        summary="predictions of a momentum teacher's projections (Grill et al., 2020)",
        options=of.ByolOptions,
        build=_build_byol,
        asymmetric=True,
    ),
    LossRecord(
        name="dino",
        summary="distributions of a centred momentum teacher (Caron et al., 2021)",
        options=of.DinoOptions,
        build=_build_dino,
        asymmetric=True,
    ),
):
    register_loss(_record)
