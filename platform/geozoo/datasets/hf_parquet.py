"""Image sets in the Parquet layout of the Hugging Face Hub: EuroSAT, the published splits of others, and any other.

A row is ``image`` (a struct with the encoded file in ``bytes``) and ``label`` (an integer); some sets call them ``img``
and ``fine_label``. The class names lie in the schema metadata under ``huggingface`` as JSON:
``info.features.label.names``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.datasets.encoded import EncodedImage, decode_images
from geozoo.datasets.images import ImageSplit
from geozoo.datasets.locate import candidate_paths, not_found
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from geozoo.datasets.prepare import Preparation

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")


def read_parquet_set(record: ImageSetRecord, path: str | None, how: Preparation) -> Decoded:
    """Decode all rows of one file, or of all ``*.parquet`` files of a folder (or its folder ``data``) in name order.

    Train and test files are pooled: the split is by seed. Without class names in the file, the classes are the sorted
    label values.
    """
    classes, pool = _read_files(record, _find_files(record, path), how)
    return Decoded(classes=classes, pool=pool)


def read_parquet_parts(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    """Decode ``train*.parquet`` as the images to split, ``test*.parquet`` (or else ``val*.parquet``) as the test split.

    They lie in ``folder`` or in one folder below it, as ``data``, ``plain_text`` or ``cropped_digits``; the first in
    alphabetical order is taken.
    """
    train = sorted(folder.glob("train*.parquet")) or sorted(folder.glob("*/train*.parquet"))
    if not train:
        return None
    place = train[0].parent
    test = sorted(place.glob("test*.parquet")) or sorted(place.glob("val*.parquet"))
    if not test:
        raise not_found(record, "test*.parquet", [place])
    (classes, pool), (test_classes, brought) = (
        _read_files(record, files, how) for files in ([file for file in train if file.parent == place], test)
    )
    if test_classes != classes or len(classes) != record.num_classes:
        raise DataCorruptError(
            f"{place} has {len(classes)} classes to train on and {len(test_classes)} to test, not the same "
            f"{record.num_classes} of {record.name!r}"
        )
    return Decoded(classes=classes, pool=pool, test=brought)


def _read_files(record: ImageSetRecord, files: list[Path], how: Preparation) -> tuple[tuple[str, ...], ImageSplit]:
    encoded: list[EncodedImage] = []
    labels: list[NDArray[np.int64]] = []
    named: dict[tuple[str, ...] | None, Path] = {}
    for file in files:
        table = _read_table(file)
        names = _class_names(file, table.schema.metadata or {})
        named.setdefault(names, file)
        labels.append(_read_labels(file, table, names or record.classes))
        encoded.extend(_read_encoded(file, table))
    if not encoded:
        raise DataCorruptError(f"{files[0]} has no rows")
    classes, values = _settle_classes(record, named, np.concatenate(labels))
    return classes, ImageSplit(decode_images(encoded, how, record.channels), values)


def _find_files(record: ImageSetRecord, path: str | None) -> list[Path]:
    places = [place for folder in candidate_paths(record, path) for place in (folder, folder / "data")]
    for place in places:
        if files := [place] if place.is_file() else sorted(place.glob("*.parquet")):
            return files
    raise not_found(record, "a .parquet file", places)


def _read_table(file: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = _find_columns(file, pq.read_schema(file))
        table = pq.read_table(file, columns=columns, partitioning=None, page_checksum_verification=True)
        return table.rename_columns(["image", "label"]).replace_schema_metadata(table.schema.metadata)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataCorruptError(f"{file} cannot be read as Parquet: {reason}") from error


def _find_columns(file: Path, schema: pa.Schema) -> list[str]:
    """The columns of images and of labels, which must have their types."""
    import pyarrow as pa

    known = (IMAGE_COLUMNS, LABEL_COLUMNS)
    columns = [name for names in known for name in names if name in schema.names]
    if len(columns) != 2:
        raise DataCorruptError(f"{file} has the columns {schema.names}, not 'image' and 'label'")
    image, label = (schema.field(column).type for column in columns)
    parts = {field.name: field.type for field in image} if pa.types.is_struct(image) else {}
    if parts.get("bytes") not in (pa.binary(), pa.large_binary()) or not pa.types.is_integer(label):
        raise DataCorruptError(f"{file} has image as {image} and label as {label}, not struct<bytes, path> and int")
    return columns


def _read_labels(file: Path, table: pa.Table, classes: tuple[str, ...] | None) -> NDArray[np.int64]:
    column = table.column("label")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataCorruptError(f"{file} has no label at row {row}")
    labels: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    if classes is not None:
        outside = (labels < 0) | (labels >= len(classes))
        if outside.any():
            row = int(np.argmax(outside))
            raise DataCorruptError(f"{file} has label {labels[row]} at row {row}, outside 0 to {len(classes) - 1}")
    return labels


def _read_encoded(file: Path, table: pa.Table) -> list[EncodedImage]:
    import pyarrow.compute as pc

    contents = pc.struct_field(table.column("image"), "bytes").to_pylist()
    if None in contents:
        raise DataCorruptError(f"{file} has no image bytes at row {contents.index(None)}: embed the images in the file")
    return [EncodedImage(content, file, row) for row, content in enumerate(contents)]


def _class_names(file: Path, metadata: dict[bytes, bytes]) -> tuple[str, ...] | None:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        label: Any = next((features[name] for name in LABEL_COLUMNS if name in features), {})
        names = label.get("names")
    except (ValueError, AttributeError) as error:
        raise DataCorruptError(f"{file} has unreadable Hugging Face metadata: {error}") from error
    return tuple(map(str, names)) if isinstance(names, list) else None


def _settle_classes(
    record: ImageSetRecord, named: dict[tuple[str, ...] | None, Path], labels: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names, and labels as indices into them; files must agree with each other and with the record."""
    (names, file), *others = named.items()
    if others:
        raise DataCorruptError(f"{others[0][1]} has the classes {others[0][0]} but {file} has {names}")
    if record.classes is not None:
        if names is not None and list(map(_bare, names)) != list(map(_bare, record.classes)):
            raise DataCorruptError(
                f"{file} has the classes {names}, not those of {record.name!r}: read it as 'image_parquet' instead"
            )
        return record.classes, labels
    if names is not None:
        return names, labels
    values, indices = np.unique(labels, return_inverse=True)
    return tuple(map(str, values)), indices.astype(np.int64)


def _bare(name: str) -> str:
    """``Annual Crop``, ``annual_crop`` and ``AnnualCrop`` are one class."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


EUROSAT_CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)

EUROSAT = ImageSetRecord(
    name="eurosat",
    read=read_parquet_set,
    classes=EUROSAT_CLASSES,
    channels=3,
    size=64,
    mean=(0.485, 0.456, 0.406),  # ImageNet's, as the published EuroSAT zoos use
    std=(0.229, 0.224, 0.225),
    validation=0.05,
    test=0.15,
    split_seed=2020,
    folders=("eurosat_rgb", "eurosat"),
    obtain="EuroSAT (RGB) as Parquet, for example the data set blanchon/EuroSAT_RGB of the Hugging Face Hub",
)

IMAGE_PARQUET = ImageSetRecord(
    name="image_parquet",
    read=read_parquet_set,
    mean=(0.5,),
    std=(0.5,),
    validation=0.15,
    test=0.15,
    path="required",
    obtain="an image set of the Hugging Face Hub as Parquet",
)
