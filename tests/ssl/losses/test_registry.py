from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from geozoo.errors import InputError
from geozoo.ssl.losses import LOSSES, LossRecord, find_loss, register_loss
from geozoo.ssl.losses.make import make_asymmetric_loss, make_loss
from geozoo.ssl.losses.options import BarlowTwinsOptions, ByolOptions, MmaOptions, NtXentOptions, TripletOptions
from tests.support.embeddings import two_maps, two_views

NAMES = {
    *("contrastive", "triplet", "lifted_structured", "n_pair", "info_nce", "nt_xent", "dcl", "barlow_twins", "vicreg"),
    *("mma", "byol", "dino"),
}

TEACHER = {"byol", "dino"}


def test_the_catalogue_is_complete_and_every_default_makes_a_loss() -> None:
    assert set(LOSSES) == NAMES
    for name, record in LOSSES.items():
        options = record.options(name=name)
        assert (make_asymmetric_loss if record.asymmetric else make_loss)(options)
    assert {name for name, record in LOSSES.items() if record.asymmetric} == TEACHER


@pytest.mark.parametrize("name", sorted(NAMES))
def test_options_are_checked(name: str) -> None:
    options = find_loss(name).options
    with pytest.raises(ValidationError, match="Extra inputs"):
        options.model_validate({"name": name, "temprature": 0.1})
    with pytest.raises(ValidationError):
        options.model_validate({"name": "another"})


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"similarity": "l1"}, {"miner": "easy"}, {"margin": "wide"}])
def test_values_of_options_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TripletOptions.model_validate(wrong)


def test_options_need_no_torch() -> None:
    program = (
        "import sys; import geozoo.ssl.losses as l; l.find_loss('nt_xent').options(); print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "False"


def test_a_name_is_found_or_refused_and_taken_once() -> None:
    with pytest.raises(InputError, match=re.escape("there is no loss 'simclr': choose one of barlow_twins, byol,")):
        find_loss("simclr")
    with pytest.raises(InputError, match="registered twice"):
        register_loss(LossRecord(name="byol", summary="", options=ByolOptions, build=lambda options: None))


def test_losses_with_and_without_a_teacher_are_not_confused() -> None:
    with pytest.raises(InputError, match="needs a teacher"):
        make_loss(ByolOptions())
    with pytest.raises(InputError, match="needs no teacher"):
        make_asymmetric_loss(NtXentOptions())


def test_what_does_not_fit_is_refused() -> None:
    first, second = two_views()
    maps, _ = two_maps()
    with pytest.raises(InputError, match=re.escape("pass two tensors [n, d]")):
        make_loss(NtXentOptions())(maps, maps)
    with pytest.raises(InputError, match=re.escape("pass two tensors [n, c, h, w]")):
        make_loss(MmaOptions())(first, second)
    with pytest.raises(InputError, match="one row for each place"):
        make_loss(NtXentOptions())(first, second[1:])
    with pytest.raises(InputError, match=re.escape("batch of 1 place(s), it takes 2")):
        make_loss(BarlowTwinsOptions())(first[:1], second[:1])
    with pytest.raises(InputError, match="choose one of info_nce, nt_xent, or leave it out"):
        make_loss(TripletOptions())(first, second, queues=(first, second))


@pytest.mark.parametrize("name", sorted(name for name in NAMES if LOSSES[name].least == 1 and name not in TEACHER))
def test_a_batch_of_one_place_has_a_finite_loss_and_gradient(name: str) -> None:
    record = LOSSES[name]
    views = two_maps(1) if record.maps else two_views(1)
    first, second = (view.requires_grad_() for view in views)
    loss = make_loss(record.options(name=name))(first, second)["loss"]
    loss.backward()
    assert loss.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()
    assert torch.is_tensor(second.grad)
