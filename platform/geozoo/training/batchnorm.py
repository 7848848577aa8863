"""BatchNorm over the rows of all workers, and how to make a network use it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from geozoo.errors import InputError
from geozoo.training.distributed import several_workers


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm over the rows of all workers, on any backend: torch's ``SyncBatchNorm`` refuses a CPU.

    Takes ``[rows, channels, ...]``; rows may be unequally spread over the workers, and some may have none. Options,
    parameters and buffers are those of `torch.nn.BatchNorm2d`, which it equals with one worker, except that a single
    value per channel is allowed (its variance is 0, and the running variance keeps its value). Statistics are taken in
    float32 at least.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"BatchNorm takes [rows, channels, ...], got the shape {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the mean and variance of all rows, or by the running ones in evaluation."""
        self._check_input_dim(input)
        of_batch = self.training or self.running_mean is None
        if not of_batch or (not several_workers() and input[:, 0].numel() > 1):
            plain: Tensor = super().forward(input)
            return plain
        wide = input if input.dtype == torch.float64 else input.float()
        normalised: Tensor
        normalised, mean, variance, count = _Standardise.apply(wide, self.eps)
        if self.training:
            self._remember(mean, variance, count)
        if self.weight is not None:
            normalised = normalised * _per_channel(self.weight, input)
        if self.bias is not None:
            normalised = normalised + _per_channel(self.bias, input)
        return normalised.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        dtype = self.running_mean.dtype
        unbiased = (variance * count / (count - 1).clamp_min(1)).to(dtype)
        self.running_mean.lerp_(mean.to(dtype), momentum)
        self.running_var.lerp_(torch.where(count > 1, unbiased, self.running_var), momentum)


class SyncedBatchNorm1d(SyncedBatchNorm, nn.BatchNorm1d):
    """`SyncedBatchNorm` that passes for a `torch.nn.BatchNorm1d`."""


class SyncedBatchNormAct(SyncedBatchNorm):
    """`SyncedBatchNorm` with the dropping and the activation that timm's ``BatchNormAct2d`` ends with."""

    def __init__(self, *arguments: Any, drop: nn.Module, act: nn.Module) -> None:
        super().__init__(*arguments)
        self.drop, self.act = drop, act

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, drop and activate."""
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


def sync_batchnorm(module: nn.Module) -> nn.Module:
    """Make every BatchNorm in a module one over all workers, in place; returns the module, or what replaces it.

    Parameters and buffers are taken over as they are, names in the state dict included; so are the activations of
    timm's ``BatchNormAct2d``. A layer that is used in several places stays one layer.

    Raises:
        InputError: a BatchNorm of another class, which may compute something else.
    """
    return _with_synced(module, {})


def _with_synced(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in done:
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, SyncedBatchNorm)
        done[module] = _synced(module) if is_norm else module
        for name, child in module._modules.items():
            if child is not None:
                setattr(done[module], name, _with_synced(child, done))
    return done[module]


def _synced(norm: nn.Module) -> SyncedBatchNorm:
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    options = (norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        synced = SyncedBatchNorm(*options)
    elif _is_timms(norm):
        synced = SyncedBatchNormAct(*options, drop=norm.get_submodule("drop"), act=norm.get_submodule("act"))
    else:
        raise InputError(
            f"{type(norm).__name__} cannot be made a BatchNorm over all workers: only torch's own BatchNorm and timm's "
            "BatchNormAct2d are known; use one of them."
        )
    for name, value in (*norm._parameters.items(), *norm._buffers.items()):
        setattr(synced, name, value)
    return synced.train(norm.training)


def _is_timms(norm: nn.Module) -> bool:
    from timm.layers.norm_act import BatchNormAct2d

    return type(norm) is BatchNormAct2d


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 2))


class _Standardise(torch.autograd.Function):
    """Rows of mean 0 and variance 1 over all workers; also their mean and (biased) variance, and how many they are."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.axes = [0, *range(2, rows.dim())]
        here = rows.new_tensor([rows[:, 0].numel()])
        totals = _reduced(torch.cat([rows.sum(ctx.axes), here]))
        mean, count = totals[:-1] / totals[-1], totals[-1]
        centred = rows - _per_channel(mean, rows)
        variance = _reduced(centred.square().sum(ctx.axes)) / count
        scale = torch.rsqrt(variance + epsilon)
        normalised = centred * _per_channel(scale, rows)
        ctx.save_for_backward(normalised, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normalised, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        normalised, scale, count = ctx.saved_tensors
        sums = torch.cat([gradient.sum(ctx.axes), (gradient * normalised).sum(ctx.axes)])
        along, across = (_per_channel(part, gradient) for part in (_reduced(sums) / count).chunk(2))
        return _per_channel(scale, gradient) * (gradient - along - normalised * across), None


def _reduced(sums: Tensor) -> Tensor:
    if several_workers():
        dist.all_reduce(sums)
    return sums
