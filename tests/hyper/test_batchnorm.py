from __future__ import annotations

import torch
from torch import nn

from geozoo.hyper.batchnorm import bn_conditioning


def test_statistics_are_the_mean_over_the_batches() -> None:
    """As many images as are drawn, so that every image is seen once: the mean of all, whatever their order."""
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 36, 2)).eval()
    nn.init.constant_(module[1].running_mean, 100.0)
    images = torch.randn(40, 1, 8, 8)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    bn_conditioning(module, images, steps=5, batch_size=8)
    outputs = module[0](images)
    torch.testing.assert_close(module[1].running_mean, outputs.mean((0, 2, 3)))
    changed = {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert not any(part.training for part in module.modules())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_batches_are_drawn_with_the_generator_in_passes_over_the_images() -> None:
    images = torch.randn(10, 2)
    module = nn.BatchNorm1d(2)
    bn_conditioning(module, images, steps=6, batch_size=4, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    order = torch.cat([torch.randperm(10, generator=generator) for _ in range(3)])[:24]
    batches = [images[order[start : start + 4]] for start in range(0, 24, 4)]
    torch.testing.assert_close(module.running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0))
    torch.testing.assert_close(module.running_var, torch.stack([batch.var(0) for batch in batches]).mean(0))


def test_a_network_without_batchnorm_stays() -> None:
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    bn_conditioning(module, torch.randn(5, 2), steps=2, batch_size=2)
    assert torch.equal(module.weight, before)
