from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors import safe_open
from torchgeo.models import ResNet18_Weights, ResNet50_Weights, ViTSmall16_Weights

from geozoo.eo.bands import band_name
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError, RecipeError
from geozoo.ssl.fit import prepare, run_experiment
from geozoo.ssl.pretrained import TORCHGEO, export_encoder
from geozoo.ssl.trained import open_views
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.ssl.test_fit import ENCODER, experiment

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.chips import Chips

BANDS = ["B02", "B03", "B04"]


def network(bands: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    made: torch.nn.Module = timm.create_model("resnet18", in_chans=bands, num_classes=7, **ENCODER["options"])
    return made.eval()


def view_with(weights: dict[str, Any], bands: list[str] | None = None) -> dict[str, Any]:
    encoder = {**ENCODER, "weights": weights}
    return {"views": {"optical": {"bands": {"s2": bands or BANDS}, "scale": "weights", "encoder": encoder}}}


@pytest.mark.parametrize("name", sorted(TORCHGEO))
def test_torchgeo_says_the_same_of_its_weights(name: str) -> None:
    entries = [getattr(family, name, None) for family in (ResNet18_Weights, ResNet50_Weights, ViTSmall16_Weights)]
    entries = [entry for entry in entries if entry is not None]
    assert entries
    for entry in entries:
        seen = TORCHGEO[name]
        assert tuple(map(band_name, entry.meta["bands"])) == seen.bands
        (scaling,) = [step for step in entry.transforms if type(step).__name__ == "Normalize"]
        pixels = torch.linspace(-20, 9000, len(seen.bands) * 4).reshape(1, len(seen.bands), 2, 2)
        mean, std = torch.tensor(seen.mean)[:, None, None], torch.tensor(seen.std)[:, None, None]
        torch.testing.assert_close(scaling(pixels.clone()), (pixels - mean) / std)


def test_bands_are_brought_into_the_order_of_the_view(chips: Chips, tmp_path: Path) -> None:
    trained = network()
    torch.save(trained.state_dict(), tmp_path / "rgb.pth")
    weights = {"path": str(tmp_path / "rgb.pth"), "bands": ["B4", "B3", "B2"], "mean": [1.0, 2.0, 3.0], "std": [100.0]}
    ((_, view),) = prepare(experiment(chips.url, **view_with(weights)), World()).system.views.each()
    pixels = torch.rand(2, 3, 16, 16) * 3000  # B02, B03, B04
    scaled = (pixels.flip(1) - torch.tensor([1.0, 2.0, 3.0])[:, None, None]) / 100
    with torch.no_grad():
        expected = trained.forward_head(trained.forward_features(scaled), pre_logits=True)  # type: ignore[operator]
        found = view.float().eval()(pixels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_exported_encoder_is_timms_and_comes_back(chips: Chips, tmp_path: Path) -> None:
    views = {"optical": {"bands": {"s2": BANDS}, "encoder": ENCODER}}
    short = {"views": views, "training": {"epochs": 1, "batch_size": 6}}
    run_experiment(experiment(chips.url, **short), str(tmp_path / "model"), World(), Watch())
    model, file = open_views(tmp_path / "model"), tmp_path / "encoder.safetensors"
    facts = export_encoder(model, "optical", file)
    made = timm.create_model(facts["network"], in_chans=len(facts["bands"]), num_classes=0, **facts["options"])
    with safe_open(file, "pt") as opened:
        made.load_state_dict({key: opened.get_tensor(key) for key in opened.keys()})  # noqa: SIM118
    pixels = torch.from_numpy(chips.read("s2", [0, 5], facts["bands"]).astype("float32"))
    mean, std = (torch.tensor(facts[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        torch.testing.assert_close(made.eval()((pixels - mean) / std), model.embed({"s2": pixels}))
    # The same encoder under a view that names its bands in another order.
    turned = view_with({"path": str(file)}, ["B04", "B02", "B03"])
    ((_, view),) = prepare(experiment(chips.url, **turned), World()).system.views.each()
    with torch.no_grad():
        torch.testing.assert_close(view.float().eval()(pixels[:, [2, 0, 1]]), model.embed({"s2": pixels}))


@pytest.mark.parametrize(
    ("weights", "message", "error"),
    [
        ({"bands": ["B02", "B03", "B08"]}, "trained on B02 B03 B08, but view 'optical' sees", BandError),
        ({"torchgeo": "SENTINEL2_ALL_MOCO"}, "trained on B01 B02", BandError),
        ({"torchgeo": "SENTINEL2_ALL_MOKO"}, "SENTINEL2_ALL_MOKO", InputError),
        ({}, "does not say what bands it saw", InputError),
        ({"bands": BANDS, "mean": [1.0, 2.0]}, "must have 1 or 3 numbers", InputError),
    ],
)
def test_what_does_not_fit_the_view_is_refused(
    chips: Chips, tmp_path: Path, weights: dict[str, Any], message: str, error: type[Exception]
) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pth")
    with pytest.raises(error, match=message):
        prepare(experiment(chips.url, **view_with({"path": str(tmp_path / "w.pth"), **weights})), World())


def test_files_that_are_no_weights_are_refused(chips: Chips, tmp_path: Path) -> None:
    weights = {"path": str(tmp_path / "w.pth"), "bands": BANDS}
    asked = experiment(chips.url, **view_with(weights))
    with pytest.raises(DataNotFoundError, match="there are no weights at"):
        prepare(asked, World())
    (tmp_path / "w.pth").write_bytes(b"not weights")
    with pytest.raises(DataCorruptError, match="no state dict that can be read safely"):
        prepare(asked, World())
    torch.save({"conv1.weight": torch.zeros(4, 3, 7, 7)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="does not fit encoder 'resnet18'"):
        prepare(asked, World())


def test_weights_and_their_scaling_go_together() -> None:
    with pytest.raises(RecipeError, match="go together"):
        experiment("x", views={"a": {"bands": {"s2": BANDS}, "encoder": {**ENCODER, "weights": {"path": "w"}}}})
