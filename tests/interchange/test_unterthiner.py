"""The Small CNN Zoo: its networks compute what its kernels say."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.datasets.images import ImageSet, ImageSplit
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.sources.unterthiner import UnterthinerSource
from tests.support.commands import geozoo
from tests.support.foreign import LAYERS, write_unterthiner

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def keras_forward(images: Floats, layers: list[tuple[Floats, Floats]]) -> Floats:
    """Logits of images ``[n, height, width, in]``, in plain loops over Keras kernels, in float64.

    Three convolutions of 3 x 3, stride 2, no padding, each with relu; the mean over places; a dense layer.
    """
    values = images.astype(np.float64)
    for kernel, bias in layers[:3]:
        height, width = (values.shape[1] - 3) // 2 + 1, (values.shape[2] - 3) // 2 + 1
        out = np.zeros((len(values), height, width, kernel.shape[3]))
        for row in range(height):
            for column in range(width):
                for i in range(3):
                    for j in range(3):
                        seen = values[:, 2 * row + i, 2 * column + j, :]
                        out[:, row, column, :] += seen @ kernel[i, j].astype(np.float64)
        values = np.maximum(out + bias, 0)
    kernel, bias = layers[3]
    result: Floats = values.mean(axis=(1, 2)) @ kernel.astype(np.float64) + bias
    return result


def take(path: Path, url: Path) -> Zoo:
    return import_zoo(UnterthinerSource(path), str(url), name="small-cnn").zoo


@pytest.mark.parametrize("size", [28, 32])
def test_outputs_are_those_of_the_kernels(size: int, tmp_path: Path) -> None:
    foreign = write_unterthiner(tmp_path / "theirs")
    zoo = take(foreign.path, tmp_path / "zoo")
    images = np.random.default_rng(1).uniform(-1, 1, (4, size, size, 1)).astype(np.float32)
    of_source = dict(zip(zoo.members["source"], zoo.members["member"], strict=True))
    for (name, step), layers in foreign.kernels.items():
        with torch.no_grad():
            logits = zoo.module(of_source[name], step)(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
        expected = keras_forward(images, layers)
        np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_neurons_are_neurons(tmp_path: Path) -> None:
    """Permuting the units of hidden layers changes no output, which it does where kernels are not transposed."""
    zoo = take(write_unterthiner(tmp_path / "theirs", members=1).path, tmp_path / "zoo")
    module = zoo.module(0, 86)
    images = torch.rand(3, 1, 28, 28) * 2 - 1
    before = module(images).detach()
    state, changed = zoo.state_dict(0, 86), zoo.state_dict(0, 86)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    changed["module_list.conv0.weight"] = state["module_list.conv0.weight"][order]
    changed["module_list.conv0.bias"] = state["module_list.conv0.bias"][order]
    changed["module_list.conv1.weight"] = state["module_list.conv1.weight"][:, order]
    module.load_state_dict(changed)
    torch.testing.assert_close(module(images).detach(), before, rtol=1e-4, atol=1e-5)


def test_settings_and_metrics(tmp_path: Path) -> None:
    zoo = take(write_unterthiner(tmp_path / "theirs").path, tmp_path / "zoo")
    assert zoo.checkpoints == (0, 20, 86)
    members = zoo.members
    assert members["activation"].unique().tolist() == ["relu"]
    assert members["init"].unique().tolist() == ["he_normal"]
    assert members["lr"].tolist() == [0.003] * 3
    np.testing.assert_allclose(members["dropout"].astype(float), [0.0, 0.1, 0.2])
    assert members["weight_decay"].isna().all()
    assert zoo.header.imported is not None
    assert zoo.header.imported.config["l2reg"] == 1e-5
    assert zoo.header.imported.config["train_fraction"] == 0.5
    np.testing.assert_allclose(zoo.metrics["generalization_gap"], 0.02, atol=1e-12)


def test_images_are_grey_and_between_minus_one_and_one(tmp_path: Path) -> None:
    source = UnterthinerSource(write_unterthiner(tmp_path / "theirs").path)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
    split = ImageSplit(pixels, np.zeros(5, dtype=np.int64))
    images = ImageSet("colour", ("a", "b"), (0.1,) * 3, (0.2,) * 3, split, split, split, "sha256:0")
    prepared = source.prepare(images)
    assert (prepared.channels, prepared.mean, prepared.std) == (1, (0.5,), (0.5,))
    luma = 0.2989 * pixels[:, 0] + 0.587 * pixels[:, 1] + 0.114 * pixels[:, 2]
    assert np.abs(prepared.test.images[:, 0] - luma).max() <= 0.51
    assert prepared.fingerprint not in (images.fingerprint, "")


def test_the_published_offsets_of_the_third_layer(tmp_path: Path) -> None:
    """A layout with a gap, as the index of the preprocessed collection has one, is refused."""
    foreign = write_unterthiner(tmp_path / "theirs")
    path = foreign.path / "layout.csv"
    lines = path.read_text().splitlines()
    lines[5] = lines[5].replace(",2480,2496", ",2320,2336")
    path.write_text("\n".join(lines))
    refused = geozoo("import", "unterthiner", foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "do not follow each other without gaps" in refused.complaint


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    foreign = write_unterthiner(tmp_path / "theirs")
    rows = np.load(foreign.path / "weights.npy")
    np.save(foreign.path / "weights.npy", rows[:, :-1])
    refused = geozoo("import", "unterthiner", foreign.path, "--to", tmp_path / "zoo")
    assert "they belong to different zoos" in refused.complaint
    np.save(foreign.path / "weights.npy", rows[:-1])
    refused = geozoo("import", "unterthiner", foreign.path, "--to", tmp_path / "zoo")
    assert "they are of different zoos" in refused.complaint
    np.save(foreign.path / "weights.npy", rows)
    data = (foreign.path / "weights.npy").read_bytes()
    (foreign.path / "weights.npy").write_bytes(data[: len(data) // 2])
    refused = geozoo("import", "unterthiner", foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "not a whole .npy file" in refused.complaint


def test_a_member_that_crashed_is_left_out(tmp_path: Path) -> None:
    foreign = write_unterthiner(tmp_path / "theirs")
    lines = gzip.decompress((foreign.path / "metrics.csv.gz").read_bytes()).decode().splitlines()
    (foreign.path / "metrics.csv.gz").write_bytes(gzip.compress("\n".join(lines[:-1]).encode()))
    np.save(foreign.path / "weights.npy", np.load(foreign.path / "weights.npy")[:-1])
    zoo = take(foreign.path, tmp_path / "zoo")
    assert list(zoo.members["source"]) == ["model_0", "model_1"]
    assert sum(int(np.prod(shape)) + shape[-1] for _, shape in LAYERS) == zoo.header.num_parameters == 4970


def test_float64_that_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    foreign = write_unterthiner(tmp_path / "theirs")
    rows = np.load(foreign.path / "weights.npy").astype(np.float64)
    rows[0, 0], rows[0, 1] = np.nan, np.inf
    np.save(foreign.path / "weights.npy", rows)
    take(foreign.path, tmp_path / "zoo")
    for number in (0.1, 1e300):
        rows[3, 5] = number
        np.save(foreign.path / "weights.npy", rows)
        refused = geozoo("import", "unterthiner", foreign.path, "--to", tmp_path / f"finer-{number}")
        assert refused.code == 2
        assert "holds numbers that float32 cannot" in refused.complaint
