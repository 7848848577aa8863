from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest
import torch

from geozoo.errors import BandError
from geozoo.ssl.embeddings import write_embeddings
from geozoo.ssl.fit import run_experiment
from geozoo.ssl.trained import open_views
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.ssl.test_fit import experiment

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.chips import Chips


def test_embeddings_are_geoparquet(chips: Chips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geozoo.ssl.embeddings.CHIPS_AT_ONCE", 7)  # several parts, the last one smaller
    trained = experiment(chips.url, training={"epochs": 1, "batch_size": 6})
    run_experiment(trained, str(tmp_path / "model"), World(), Watch())
    model, told = open_views(tmp_path / "model"), []
    dim = write_embeddings(model, chips, tmp_path / "e.parquet", told.append)
    table = geopandas.read_parquet(tmp_path / "e.parquet")
    assert told == [7, 14, 21, 24]
    assert table["id"].tolist() == chips.index["id"].tolist()
    assert table.crs.to_epsg() == 4326 or table.crs == "OGC:CRS84"
    west, south, east, north = table.to_crs("EPSG:32632").geometry.iloc[3].bounds
    np.testing.assert_allclose([west, south, east, north], chips.index["bounds"].iloc[3], atol=0.02)
    pixels = {name: torch.from_numpy(chips.read(name, [4]).astype("float32")) for name in ("s1", "s2")}
    pixels["s2"] = pixels["s2"][:, [1, 3, 7]]  # B02, B04, B08
    expected = model.embed(pixels)[0]
    assert len(expected) == dim
    np.testing.assert_allclose(table["embedding"].iloc[4], expected, rtol=1e-4, atol=1e-5)


def test_chips_go_where_the_encoders_are(chips: Chips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device whose tensors have no data: to mix it with the CPU is an error."""
    trained = experiment(chips.url, training={"epochs": 1, "batch_size": 6})
    run_experiment(trained, str(tmp_path / "model"), World(), Watch())
    came_from: list[str] = []

    def cpu(tensor: torch.Tensor) -> torch.Tensor:
        came_from.append(tensor.device.type)
        return torch.zeros(tensor.shape)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    write_embeddings(open_views(tmp_path / "model", "meta"), chips, tmp_path / "e.parquet")
    assert came_from[-1] == "meta"


def test_chips_without_the_bands_are_refused(chips: Chips, tmp_path: Path) -> None:
    trained = experiment(chips.url, training={"epochs": 1, "batch_size": 6})
    run_experiment(trained, str(tmp_path / "model"), World(), Watch())
    model = open_views(tmp_path / "model")
    arrays = dict(chips.header.arrays)
    arrays["s2"] = arrays["s2"].model_copy(update={"bands": ("B02",)})
    other = type(chips)(chips.location, chips.header.model_copy(update={"arrays": arrays}))
    with pytest.raises(BandError, match="lacks band"):
        write_embeddings(model, other, tmp_path / "e.parquet")
