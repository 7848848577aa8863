"""A STAC item with the Machine Learning Model extension, for zoos that were trained on satellite imagery.

STAC 1.1.0 and MLM 1.4.0 (stac-extensions.github.io/mlm). An item stands for one place and time; a population of
networks trained on chips without coordinates or dates has neither. So the geometry is null, which the specification
allows and a client must not read as the whole earth, there is no bounding box, and ``datetime`` is the day of
publication, as the description says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geozoo.interchange.publishing.facts import Facts

STAC_VERSION = "1.1.0"
MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"


@dataclass(frozen=True)
class Imagery:
    """The satellite imagery of an image set: channels as ``(band, description)``, native side and ground distance."""

    constellation: str
    bands: tuple[tuple[str, str], ...]
    native_size: int
    native_gsd: float
    note: str


IMAGERY = {
    "eurosat": Imagery(
        "sentinel-2",
        (("B04", "red"), ("B03", "green"), ("B02", "blue")),
        native_size=64,
        native_gsd=10.0,
        note="EuroSAT's RGB chips of Sentinel-2, scaled to 8 bits, carry neither coordinates nor dates",
    )
}
"""Image sets of satellite imagery by name; others get no STAC item."""


def stac_item(facts: Facts) -> bytes | None:
    """``stac-item.json``; None where the zoo was not trained on satellite imagery."""
    imagery = IMAGERY.get(facts.images)
    if imagery is None:
        return None
    edition = facts.edition
    bands = [{"name": name, "description": description} for name, description in imagery.bands]
    item = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [MLM_SCHEMA],
        "id": f"{facts.key}-{edition.version}",
        "geometry": None,
        "properties": {
            "title": edition.title,
            "description": f"{facts.description} {imagery.note}: the geometry is null and datetime is the day of "
            "publication.",
            "datetime": f"{edition.date}T00:00:00Z",
            "license": edition.license,
            "providers": [{"name": author.name, "roles": ["producer", "licensor"]} for author in edition.people],
            "constellation": imagery.constellation,
            "gsd": imagery.native_gsd * imagery.native_size / int(facts.header.dataset["size"]),
            "bands": bands,
            **_model(facts, imagery),
        },
        "links": [
            {"rel": "license", "href": edition.licence.url, "type": "text/html"},
            *([{"rel": "cite-as", "href": f"https://doi.org/{edition.doi}"}] if edition.doi else []),
        ],
        "assets": _assets(facts, bands),
    }
    return (json.dumps(item, indent=1, ensure_ascii=False) + "\n").encode()


def _model(facts: Facts, imagery: Imagery) -> dict[str, Any]:
    """The fields of the extension; statistics are in units of the 8-bit pixels."""
    header, data = facts.header, facts.header.dataset
    size, classes = int(data["size"]), facts.classes
    scaling = [
        {"type": "z-score", "mean": 255 * float(mean), "stddev": 255 * float(std)}
        for mean, std in zip(data["mean"], data["std"], strict=True)
    ]
    resized = {"resize_type": "interpolation-linear"} if size != imagery.native_size else {}
    return {
        "mlm:name": re.sub(r"^[^A-Za-z]+", "", facts.key) or "zoo",
        "mlm:architecture": facts.network,
        "mlm:framework": "PyTorch",
        "mlm:tasks": ["scene-classification", "classification"],
        "mlm:total_parameters": header.num_parameters,
        "mlm:pretrained": False,
        "mlm:pretrained_source": None,
        "mlm:hyperparameters": {"members": facts.members, "checkpoints": list(header.checkpoints)},
        "mlm:input": [
            {
                "name": f"{facts.images} chip",
                "bands": [name for name, _ in imagery.bands],
                "input": {
                    "shape": [-1, len(imagery.bands), size, size],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": scaling,
                **resized,
            }
        ],
        "mlm:output": [
            {
                "name": "class scores",
                "tasks": ["scene-classification", "classification"],
                "result": {"shape": [-1, len(classes)], "dim_order": ["batch", "class"], "data_type": "float32"},
                "classification:classes": [
                    {"value": value, "name": name, "description": name} for value, name in enumerate(classes)
                ],
            }
        ],
    }


def _assets(facts: Facts, bands: list[dict[str, str]]) -> dict[str, Any]:
    """The objects; STAC allows bands of the item, where MLM looks for them, only if an asset has them too."""
    parquet = "application/vnd.apache.parquet"
    return {
        "weights": {
            "href": "./weights.zarr",
            "type": "application/vnd.zarr; version=3",
            "title": f"The weights of {facts.members:,} members at every checkpoint",
            "roles": ["mlm:model", "mlm:weights", "data"],
            "mlm:artifact_type": "zarr",
            "bands": bands,
        },
        "members": {"href": "./members.parquet", "type": parquet, "title": "Members", "roles": ["metadata"]},
        "metrics": {"href": "./metrics.parquet", "type": parquet, "title": "Metrics", "roles": ["metadata"]},
        "readme": {"href": "./README.md", "type": "text/markdown", "title": "README", "roles": ["overview"]},
    }
