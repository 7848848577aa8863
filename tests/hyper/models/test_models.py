from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from geozoo.errors import InputError
from geozoo.hyper.models import MODELS, EncoderDecoderOptions, ModelRecord, SaneOptions, find_model, register_model
from geozoo.nets import build_network, derive_layout

CNN_S = derive_layout(build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh"))
SMALL = {
    "encoder_decoder": {"width": 8, "heads": 2, "blocks": 1, "latent": 4, "projection": {"layers": 1, "width": 6}},
    "sane": {"width": 8, "heads": 2, "blocks": 1, "latent": 4, "window": 8},
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_keeps_the_shapes_it_promises(name: str) -> None:
    record = find_model(name)
    model = record.build(record.options(**SMALL[name]), [CNN_S])
    weights = torch.randn(5, 2464)
    result = model(weights, generator=torch.Generator())
    assert result.predicted.shape == weights.shape
    assert result.mask is None or (result.mask.shape == weights.shape and result.mask.dtype == torch.bool)
    latent = model.encode(weights)
    assert len(latent) == 5
    assert model.decode(latent).shape == weights.shape
    assert (model.embed(latent).ndim, model.project(latent).ndim) == (2, 2)
    assert model.double().encode(weights.double()).dtype == torch.float64


def test_names() -> None:
    with pytest.raises(InputError, match="there is no model 'vae': choose one of encoder_decoder, sane"):
        find_model("vae")
    with pytest.raises(InputError, match="registered twice"):
        register_model(ModelRecord(name="sane", summary="", options=SaneOptions, build=MODELS["sane"].build))


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        (EncoderDecoderOptions, {"width": 10, "heads": 4}, "width 10 cannot be shared among 4 heads"),
        (SaneOptions, {"width": 9, "heads": 3}, "width 9 is odd"),
        (SaneOptions, {"max_window": 16, "halo": 8}, "two halos of 8 tokens leave nothing of max_window 16"),
        (SaneOptions, {"windows": 16}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: type, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**changes)


def test_options_are_light() -> None:
    program = "import sys, geozoo.hyper.models; print(sorted({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
