from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.ssl.grad_cache import encode_in_chunks
from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.options import NtXentOptions
from geozoo.training.distributed import World, gather_rows, share
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

ROWS, CHUNK = 7, 2
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


class Encoder(nn.Module):
    """A small image encoder; remembers how many rows it was given at a time."""

    def __init__(self, dropout: float = 0.0, noise: torch.Generator | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            *(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Dropout(dropout), nn.Flatten(), nn.Linear(64, 3)),
            nn.LayerNorm(3),
        )
        self.noise, self.seen = noise, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        if self.noise is not None:
            images = images + torch.randn(images.shape, generator=self.noise, dtype=images.dtype)
        embedded: Tensor = self.layers(images)
        return embedded


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    first, second = torch.randn(2, ROWS, 2, 6, 6, generator=generator, dtype=torch.float64)
    return first, first + 0.3 * second


def run(world: World, cached: bool, dropout: float = 0.0, noisy: bool = False) -> dict[str, Tensor]:
    """Loss and gradients of both views, chunk by chunk, with activations kept or cached gradients."""
    noise = torch.Generator().manual_seed(8) if noisy else None
    encoder = Encoder(dropout, noise).double()
    torch.manual_seed(17)
    embedded = []
    for view in images():
        local = view[share(ROWS, world)]
        if cached:
            outputs = encode_in_chunks(encoder, local, CHUNK, [noise] if noise else [])
        else:
            outputs = torch.cat([encoder(part) for part in local.split(CHUNK)])
        embedded.append(gather_rows(outputs, ROWS, world))
    loss = make_loss(NtXentOptions())(*embedded)["loss"] / world.size
    torch.manual_seed(99)  # what is drawn between forward and backward changes nothing
    torch.rand(3)
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    after = torch.rand(2) if noise is None else torch.rand(2, generator=noise)
    return {"loss": loss.detach(), "after": after, **gradients}


@pytest.mark.parametrize(("dropout", "noisy"), [(0.0, False), (0.4, False), (0.4, True)])
def test_cached_gradients_are_those_with_all_activations_kept(dropout: float, noisy: bool) -> None:
    kept, cached = (run(World(), way, dropout, noisy) for way in (False, True))
    assert set(cached) == set(kept)
    for name, value in kept.items():
        torch.testing.assert_close(cached[name], value, **CLOSE)
    if dropout:
        assert not torch.allclose(run(World(), True)["loss"], cached["loss"])


@pytest.mark.parametrize("size", [2, 4])
def test_cached_gradients_of_workers_add_up_to_those_of_one_batch(size: int, tmp_path: Path) -> None:
    alone = run(World(), cached=False)
    parts = on_workers(size, tmp_path, run, True)
    for name, value in alone.items():
        if name != "after":
            torch.testing.assert_close(torch.stack([part[name] for part in parts]).sum(0), value, **CLOSE)


def test_rows_pass_in_chunks_twice_and_may_be_none() -> None:
    encoder = Encoder().double()
    rows = images()[0]
    encode_in_chunks(encoder, rows, CHUNK).sum().backward()
    assert sorted(encoder.seen) == [1, 1, *[2] * 6]
    assert encode_in_chunks(encoder, rows[:0], CHUNK).shape == (0, 3)


def test_no_activation_is_kept() -> None:
    rows, saved = images()[0], list[int]()

    def save(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        Encoder().double()(rows)
        kept = sum(saved)
        saved.clear()
        encode_in_chunks(Encoder().double(), rows, CHUNK)
    assert kept > 2000
    assert sum(saved) == rows.numel()  # the input, which is there anyway


def test_an_encoder_that_mixes_rows_is_refused_in_training_only() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.BatchNorm1d(3)).double()
    with pytest.raises(InputError, match=r"cannot encode with 2 \(BatchNorm1d\): it normalises by the rows"):
        encode_in_chunks(encoder, images()[0], CHUNK)
    encoder.eval()
    torch.testing.assert_close(encode_in_chunks(encoder, images()[0], CHUNK), encoder(images()[0]))
