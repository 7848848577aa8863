"""Losses without negatives, on the correlations between dimensions: Barlow Twins and VICReg, both lightly's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geozoo.ssl.losses.options import BarlowTwinsOptions, VicRegOptions
    from geozoo.ssl.losses.registry import Views


def build_barlow_twins(options: BarlowTwinsOptions) -> Callable[[Views], dict[str, Tensor]]:
    """Barlow Twins (Zbontar et al., 2021): the cross-correlation of the views should be the identity.

    Dimensions are standardised as the authors' code does, with the biased variance plus 1e-5.
    """
    from lightly.loss import BarlowTwinsLoss

    loss = BarlowTwinsLoss(lambda_param=options.redundancy)
    return lambda views: {"loss": loss(views.first, views.second)}


def build_vicreg(options: VicRegOptions) -> Callable[[Views], dict[str, Tensor]]:
    """VICReg (Bardes et al., 2022): invariance, variance at least 1, no covariance.

    The variance term is the mean of the two views' as in the authors' code; the paper adds them.
    """
    from lightly.loss import VICRegLoss

    loss = VICRegLoss(options.invariance, options.variance, options.covariance)
    return lambda views: {"loss": loss(views.first, views.second)}
