from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.training.batchnorm import SyncedBatchNorm, SyncedBatchNorm1d, SyncedBatchNormAct, sync_batchnorm
from geozoo.training.distributed import World, share
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 3
SHAPES = ((), (4, 5))
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def rows(*shape: int, count: int = ROWS) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, *shape, generator=generator, dtype=torch.float64)


def layers(shape: tuple[int, ...]) -> list[nn.Module]:
    """torch's layers of every kind, with weights of their own."""
    kind: Any = nn.BatchNorm2d if shape else nn.BatchNorm1d
    made = [kind(3), kind(3, momentum=None), kind(3, affine=False), kind(3, bias=False, track_running_stats=False)]
    torch.manual_seed(1)
    for layer in made:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)
    return [layer.double() for layer in made]


def normalise(world: World, synced: bool = True) -> list[dict[str, Tensor]]:
    """Two training steps and an evaluation of every layer, on this worker's rows."""
    results = []
    for shape in SHAPES:
        for plain in layers(shape):
            layer = sync_batchnorm(plain) if synced else plain
            outputs = []
            for step in range(2):
                x = (rows(*shape) + step)[share(ROWS, world)].clone().requires_grad_()
                y = layer(x)
                y.pow(3).sum().backward()
                assert x.grad is not None
                outputs += [y.detach(), x.grad]
            outputs.append(layer.eval()(rows(*shape)[share(ROWS, world)]).detach())
            gradients = {f"gradient of {name}": p.grad for name, p in layer.named_parameters() if p.grad is not None}
            results.append({"rows": torch.stack(outputs, dim=1), **gradients, **layer.state_dict()})
    if synced:
        results.append({"halves": halves(world)})
    return results


def halves(world: World) -> Tensor:
    """bfloat16 rows, more than bfloat16 can count, of mean 0 and variance 1; then a ReLU in place."""
    x = torch.ones(600, 3, dtype=torch.bfloat16)
    x[::2] = -1
    layer = SyncedBatchNormAct(3, drop=nn.Identity(), act=nn.ReLU(inplace=True))
    y = layer(x[share(600, world)].clone().requires_grad_())
    y.sum().backward()
    return torch.cat([x[share(600, world)], y.detach()], dim=1)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_batchnorm_over_workers_is_torchs_over_one_batch(size: int, tmp_path: Path) -> None:
    assert size < 4 or not range(ROWS)[share(ROWS, World(0, size))]  # a worker without rows
    parts = on_workers(size, tmp_path, normalise)
    outputs = torch.cat([part.pop()["halves"] for part in parts])
    assert outputs.dtype == torch.bfloat16
    assert torch.equal(outputs[:, 3:], outputs[:, :3].relu())
    for torchs, *ours in zip(normalise(World(), synced=False), *parts, strict=True):
        assert all(set(part) == set(torchs) for part in ours)
        for name, value in torchs.items():
            mine = [part[name] for part in ours]
            if name == "rows":
                torch.testing.assert_close(torch.cat(mine), value, **CLOSE)
            elif name.startswith("gradient"):
                torch.testing.assert_close(torch.stack(mine).sum(0), value, **CLOSE)
            else:
                for buffer in mine:
                    torch.testing.assert_close(buffer, value, **CLOSE)


def test_a_batch_of_one_row_is_its_own_mean() -> None:
    layer = SyncedBatchNorm1d(3).double()
    before = layer.running_var.clone()
    assert torch.equal(layer(rows(count=1)), torch.zeros(1, 3, dtype=torch.float64))
    assert torch.equal(layer.running_var, before)


def test_the_gradient_is_that_of_finite_differences() -> None:
    layer = SyncedBatchNorm(3).double()
    assert torch.autograd.gradcheck(layer, rows(4, 5).requires_grad_())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_a_converted_network_has_the_same_state_and_answers(name: str) -> None:
    import timm  # not needed by the workers of the other tests, which import this module

    torch.manual_seed(0)
    network = timm.create_model(name, in_chans=2, num_classes=3).eval()
    plain = copy.deepcopy(network)
    parameters = dict(network.named_parameters())
    synced = sync_batchnorm(network)
    assert synced is network
    assert list(synced.state_dict()) == list(plain.state_dict())
    assert all(parameter is parameters[key] for key, parameter in synced.named_parameters())
    images = torch.randn(2, 2, 32, 32)
    assert torch.equal(synced(images), plain(images))
    torch.testing.assert_close(synced.train()(images), plain.train()(images))
    norms = [part for part in synced.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, SyncedBatchNorm) for norm in norms)
    assert any(isinstance(norm, SyncedBatchNormAct) for norm in norms) == (name == "efficientnet_b0")


def test_a_layer_by_itself_or_used_twice_is_converted_once() -> None:
    norm = nn.BatchNorm1d(3).eval()
    assert isinstance(sync_batchnorm(norm), SyncedBatchNorm)
    assert not sync_batchnorm(norm).training
    twice = sync_batchnorm(nn.Sequential(norm, nn.Linear(3, 3), norm))
    assert isinstance(twice[0], SyncedBatchNorm)  # type: ignore[index]
    assert twice[0] is twice[2]  # type: ignore[index]
    assert sync_batchnorm(twice)[0] is twice[0]  # type: ignore[index]


def test_a_batchnorm_of_another_class_is_refused() -> None:
    with pytest.raises(InputError, match="LazyBatchNorm2d cannot be made a BatchNorm over all workers"):
        sync_batchnorm(nn.Sequential(nn.LazyBatchNorm2d()))


def test_rows_need_channels() -> None:
    with pytest.raises(ValueError, match="got the shape"):
        SyncedBatchNorm(3)(torch.zeros(3))
