"""That all is where it is computed, on a device whose tensors have no data: to mix it with the CPU is an error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geozoo.ssl.downstream import fit
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.metrics import ClassCounts
from geozoo.ssl.downstream.predictor import Predictor
from geozoo.ssl.downstream.rows import Row, learn, read_labelled
from geozoo.weights.draws import RowDraws
from tests.ssl.downstream.test_mask_labels import labels_experiment
from tests.support.eo_sets import ingest, write_dfc2020

if TYPE_CHECKING:
    from pathlib import Path

DEVICE = "meta"
AUGMENTATION = {
    "crop": 24, "zoom": [0.5, 1.0], "flip": True, "rotate": True, "blur": 0.5, "grayscale": 0.2, "drop_sensor": 0.2,
    "jitter": {"brightness": 0.4, "bands": 0.1},
}  # fmt: skip
SWIN = {
    "name": "swin_tiny_patch4_window7_224",
    "options": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 3},
}
RESNET = {"name": "resnet18", "options": {"channels": [4, 4, 8, 8]}}


@pytest.fixture
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device ``meta`` draws no numbers and gives none back: they are made up."""
    generator = torch.Generator
    monkeypatch.setattr(fit.torch, "Generator", lambda device: generator())
    monkeypatch.setattr(
        RowDraws,
        "uniform",
        lambda self, *shape, dtype=torch.float32: torch.rand(self.total, *shape, device=DEVICE, dtype=dtype),
    )
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: [0.0] * len(self))


@pytest.mark.usefixtures("_no_data")
@pytest.mark.parametrize("encoder", [RESNET, SWIN], ids=["resnet", "swin"])
@pytest.mark.parametrize(
    ("task", "method"), [("single", "random_probe"), ("segmentation", "scratch"), ("segmentation", "random_probe")]
)
def test_a_row_is_computed_on_its_device(
    task: str, method: str, encoder: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chips = ingest(write_dfc2020(tmp_path / "files"), tmp_path / "chips")
    views = {name: {"bands": {name: "all"}, "encoder": encoder} for name in ("s1", "s2")}
    settings = {"views": views, "augmentation": AUGMENTATION, "fit": {"updates": 2, "batch_size": 4}}
    bench = open_bench(labels_experiment(chips, task=task, methods=[method], **settings), DEVICE)
    row = Row.model_validate({"method": method, "fraction": 1.0, "seed": 0})
    encoders, heads = learn(bench, row, read_labelled(bench, row), [1e-2, 1e-3][: 1 if method == "scratch" else 2])
    tensors = [one for module in (encoders, *heads) for one in module.state_dict().values()]
    assert {one.device.type for one in tensors} == {DEVICE}
    scored: list[str] = []
    monkeypatch.setattr(
        ClassCounts, "add", lambda self, logits, truth: scored.extend([logits.device.type, truth.device.type])
    )
    fit.score_heads(encoders, heads, bench.test, bench.experiment.augmentation, bench.device)
    assert set(scored) == {DEVICE}
    seen: list[str] = []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: seen.append(self.device.type) or self)
    predictor = Predictor("somewhere", SimpleNamespace(), encoders, heads[0])  # type: ignore[arg-type]
    predictor.logits({name: torch.zeros(2, len(bands), 24, 24) for name, bands in predictor.bands.items()})
    assert seen == [DEVICE]
