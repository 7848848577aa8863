"""Croissant 1.0 metadata of a published zoo (mlcommons.org/croissant): its files, and the columns of its tables."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from geozoo.store.manifest import MEMBERS_NAME, METRICS_NAME
from geozoo.store.split import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from geozoo.interchange.publishing.edition import Author
    from geozoo.interchange.publishing.facts import Facts
    from geozoo.store.commit import StoredObject

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

_CR = "citeAs column extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath key md5"
_CR_MORE = (
    "parentField path recordSet references regex repeated replace samplingRate separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in [*_CR.split(), *_CR_MORE.split(), "equivalentProperty"]},
}
_MEANINGS = {
    "member": "The id of the member, derived from the recipe and its hyper-parameters.",
    "cohort": "The members it was trained together with.",
    "position": "Its place in the cohort.",
    "plan": "The number of the plan that it belongs to.",
    "split": "train, validation or test, by member.",
    "digest": "SHA-256 of the member's hyper-parameters, weights and metrics.",
    "epoch": "The epoch; 0 is the initialisation.",
    "finite": "Whether all weights are finite.",
}


def croissant(facts: Facts, objects: Mapping[str, StoredObject], schemas: Mapping[str, pa.Schema]) -> bytes:
    """``croissant.json``.

    Args:
        facts: about the zoo.
        objects: the objects uploaded so far; those outside ``weights.zarr`` are listed with size and SHA-256.
        schemas: of ``members.parquet`` and ``metrics.parquet``.
    """
    edition = facts.edition
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.key,
        "alternateName": edition.title,
        "description": facts.description,
        "license": edition.licence.url,
        "version": edition.version,
        "datePublished": edition.date,
        "creator": [_creator(author) for author in edition.people],
        "keywords": ["model zoo", "neural network weights", "weight-space learning"],
        "citeAs": edition.bibtex(facts.key),
        **({"url": edition.address} if edition.address else {}),
        "distribution": [*_files(objects), _weights()],
        "recordSet": [
            _splits(),
            _records("members", MEMBERS_NAME, schemas[MEMBERS_NAME], "One record a member."),
            _records("metrics", METRICS_NAME, schemas[METRICS_NAME], "One record a member and epoch."),
        ],
    }
    return (json.dumps(metadata, indent=1, ensure_ascii=False) + "\n").encode()


def parquet_schema(source: Any) -> pa.Schema:
    """The schema of a Parquet file, given as a path or as its bytes."""
    import pyarrow.parquet as pq

    return pq.read_schema(io.BytesIO(source) if isinstance(source, bytes) else source)


def _creator(author: Author) -> dict[str, str]:
    if author.family is None:
        return {"@type": "sc:Organization", "name": author.name}
    return {
        "@type": "sc:Person",
        "name": author.name,
        "familyName": author.family,
        "givenName": author.given or "",
    }


def _files(objects: Mapping[str, StoredObject]) -> list[dict[str, Any]]:
    formats = {
        "parquet": "application/x-parquet",
        "json": "application/json",
        "html": "text/html",
        "md": "text/markdown",
        "yaml": "application/yaml",
        "cff": "application/yaml",
        "LICENSE": "text/plain",
    }
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{stored.size} B",
            "encodingFormat": formats.get(name.rpartition(".")[2], "application/octet-stream"),
            "sha256": stored.sha256,
        }
        for name, stored in sorted(objects.items())
        if not name.startswith("weights.zarr/")
    ]


def _weights() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "weights.zarr",
        "name": "weights.zarr",
        "description": "Zarr v3 group of the weights [member, epoch, param]; manifest.json has the checksums.",
        "encodingFormat": "application/vnd.zarr",
        "includes": "weights.zarr/**",
    }


def _splits() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits by member, about 70 % train, 15 % validation, 15 % test.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [{"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}],
        "data": [{"splits/name": split} for split in SPLITS],
    }


def _records(name: str, file: str, schema: pa.Schema, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [_field(name, file, column) for column in schema],
    }


def _field(records: str, file: str, column: pa.Field) -> dict[str, Any]:
    import pyarrow.types as types

    kinds = ((types.is_boolean, "sc:Boolean"), (types.is_integer, "sc:Integer"), (types.is_floating, "sc:Float"))
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{records}/{column.name}",
        "name": column.name,
        "description": _MEANINGS.get(column.name, column.name.replace("_", " ").capitalize() + "."),
        "dataType": next((name for holds, name in kinds if holds(column.type)), "sc:Text"),
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }
    if (records, column.name) == ("members", "split"):
        field["references"] = {"field": {"@id": "splits/name"}}
    return field
