from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from geozoo.hyper.models.blocks import Attention, Block, Blocks, BlockShape

SHAPE = BlockShape(width=12, heads=3, hidden=20, activation=nn.ReLU, bias=True, dropout=0.0)


def library_layer(block: Block, shape: BlockShape) -> nn.TransformerEncoderLayer:
    """The same block, from torch, with the same weights."""
    layer = nn.TransformerEncoderLayer(
        shape.width,
        shape.heads,
        shape.hidden,
        dropout=shape.dropout,
        activation=F.relu if shape.activation is nn.ReLU else F.gelu,
        norm_first=True,
        batch_first=True,
        bias=shape.bias,
    )
    names = {
        "attention.qkv.weight": "self_attn.in_proj_weight",
        "attention.qkv.bias": "self_attn.in_proj_bias",
        "attention.out": "self_attn.out_proj",
        "attention_norm": "norm1",
        "feed_forward_norm": "norm2",
        "expand": "linear1",
        "contract": "linear2",
    }
    state = {}
    for name, tensor in block.state_dict().items():
        ours = next(ours for ours in names if name.startswith(ours))
        state[name.replace(ours, names[ours])] = tensor
    layer.load_state_dict(state)
    return layer


def scrambled(module: nn.Module) -> nn.Module:
    """Weights that leave nothing at zero or one."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double()


def test_attention_is_torchs() -> None:
    ours = scrambled(Attention(SHAPE))
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,  # type: ignore[union-attr]
            "in_proj_bias": ours.qkv.bias,  # type: ignore[union-attr]
            "out_proj.weight": ours.out.weight,  # type: ignore[union-attr]
            "out_proj.bias": ours.out.bias,  # type: ignore[union-attr]
        }
    )
    x = torch.randn(4, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("shape", [SHAPE, dataclasses.replace(SHAPE, activation=nn.GELU, bias=False)])
def test_a_block_and_its_gradients_are_torchs(shape: BlockShape) -> None:
    block = Block(shape)
    scrambled(block)
    layer = library_layer(block, shape).double()
    x = torch.randn(4, 7, 12, dtype=torch.float64)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    upstream = torch.randn_like(x)
    ours, theirs = block(mine), layer(other)
    torch.testing.assert_close(ours, theirs)
    ours.backward(upstream)
    theirs.backward(upstream)
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(block.attention.qkv.weight.grad, layer.self_attn.in_proj_weight.grad)
    torch.testing.assert_close(block.expand.weight.grad, layer.linear1.weight.grad)


@pytest.mark.parametrize("keep", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_tokens_that_are_kept_do_not_depend_on_what_is_computed(keep: int, bias: bool) -> None:
    blocks = scrambled(Blocks(2, dataclasses.replace(SHAPE, bias=bias)))
    x = torch.randn(4, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(blocks(x, keep=keep), blocks(x)[:, :keep])


def test_dropout_falls_where_torchs_does() -> None:
    """On attention weights, hidden units and both additions, in this order: one seed drops the same in both."""
    shape = dataclasses.replace(SHAPE, dropout=0.3)
    block = Block(shape)
    layer = library_layer(block, shape)
    x = torch.randn(1, 7, 12)
    torch.manual_seed(0)
    ours = block(x)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, layer(x))
    assert not torch.equal(ours, block(x))
