"""The options of the hyper-representation models, checked before anything heavy is loaded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from geozoo.recipe.space import Count, Fraction, Frozen

TokenScheme = Literal["neuron", "weight", "neuron_in_out"]
Natural = Annotated[int, Field(ge=0, strict=True)]


class ProjectionOptions(Frozen):
    """The contrastive head: ``layers`` hidden layers of ``width`` units, then ``out`` outputs."""

    layers: Count = 4
    width: Count = 400
    out: Count = 50


class ModelOptions(Frozen):
    """Options of the model ``name``, one of ``geozoo.hyper.models.MODELS``."""

    name: str


class EncoderDecoderOptions(ModelOptions):
    """Options of ``encoder_decoder``.

    ``tokens``: what a token is (`geozoo.hyper.models.tokens`). ``width``: numbers a token is embedded in,
    ``feed_forward`` the hidden units of a block. ``latent``: length of the latent vector, which is made from a learned
    ``token`` or from all tokens (``flatten``) and bounded by ``tanh`` (2021) or not (``linear``, 2022). ``dropout``: of
    attention weights, of the hidden units and of what each half of a block adds.
    """

    name: Literal["encoder_decoder"] = "encoder_decoder"
    tokens: TokenScheme = "neuron"
    width: Count = 128
    blocks: Count = 2
    heads: Count = 4
    feed_forward: Count = 256
    latent: Count = 64
    compression: Literal["token", "flatten"] = "token"
    bottleneck: Literal["tanh", "linear"] = "tanh"
    dropout: Fraction = 0.1
    projection: ProjectionOptions = ProjectionOptions()

    @model_validator(mode="after")
    def _check_heads(self) -> EncoderDecoderOptions:
        _check_divisible(self.width, self.heads)
        return self


class SaneOptions(ModelOptions):
    """Options of ``sane``.

    ``token_size``: weights in a token, 0 for the longest row of all layouts. ``width``: numbers a token is embedded in;
    ``blocks`` in the encoder and again in the decoder; ``latent``: numbers a token is encoded in. ``window``: tokens of
    a training pass. Sequences of up to ``max_window`` tokens are otherwise passed whole, longer ones in windows of
    ``max_window`` tokens that overlap by ``halo`` tokens on either side. ``projection``: units of both layers of the
    contrastive head. ``positions``: entries of the tables for the place in the sequence, the layer and the channel;
    without them what the layouts need. Larger tables let the weights of the model serve other networks later.
    """

    name: Literal["sane"] = "sane"
    token_size: Natural = 0
    width: Count = 256
    blocks: Count = 4
    heads: Count = 8
    latent: Count = 64
    window: Count = 64
    max_window: Count = 512
    halo: Natural = 64
    dropout: Fraction = 0.0
    projection: Count = 30
    positions: tuple[Count, Count, Count] | None = None

    @model_validator(mode="after")
    def _check(self) -> SaneOptions:
        _check_divisible(self.width, self.heads)
        if self.width % 2:
            raise ValueError(
                f"width {self.width} is odd, but each half of a token has its own position: choose an even one"
            )
        if 2 * self.halo >= self.max_window:
            raise ValueError(
                f"two halos of {self.halo} tokens leave nothing of max_window {self.max_window}: lower halo or raise "
                "max_window"
            )
        return self


def _check_divisible(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} cannot be shared among {heads} heads: choose a multiple of heads")
