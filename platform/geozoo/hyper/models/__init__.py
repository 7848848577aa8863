"""Hyper-representation models: encoders and decoders of weights, by name. One registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.hyper.models.options import EncoderDecoderOptions, SaneOptions
from geozoo.hyper.models.registry import MODELS, ModelRecord, find_model, register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.models.model import HyperModel
    from geozoo.nets.layout import Layout

__all__ = ["MODELS", "EncoderDecoderOptions", "ModelRecord", "SaneOptions", "find_model", "register_model"]


def _build_encoder_decoder(options: EncoderDecoderOptions, layouts: Sequence[Layout]) -> HyperModel:
    from geozoo.hyper.models.encoder_decoder import EncoderDecoder

    return EncoderDecoder(options, layouts)


def _build_sane(options: SaneOptions, layouts: Sequence[Layout]) -> HyperModel:
    from geozoo.hyper.models.sane import Sane

    return Sane(options, layouts)


register_model(
    ModelRecord(
        name="encoder_decoder",
        summary="attention over the neurons of one layout, one latent vector for a whole network (2021 and 2022)",
        options=EncoderDecoderOptions,
        build=_build_encoder_decoder,
    )
)
register_model(
    ModelRecord(
        name="sane",
        summary="attention over windows of equally long tokens, a latent vector for each token, any number of layouts",
        options=SaneOptions,
        build=_build_sane,
    )
)
