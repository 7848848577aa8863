from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geozoo.datasets import IMAGE_SETS, DatasetOptions, ImageSet, load_image_set
from geozoo.errors import DataCorruptError, DataNotFoundError, RecipeError
from tests.support.images import draw_images, encode_image, write_image_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

COLOUR = draw_images(40, (12, 12, 3))
GREY = draw_images(40, (12, 12))
LABELS = np.random.default_rng(5).integers(0, 3, 40)
NAMES = ("field", "forest", "lake")
EUROSAT_CLASSES = IMAGE_SETS["eurosat"].classes or ()


def load(path: Path, name: str = "image_parquet", size: int | None = None) -> ImageSet:
    return load_image_set(DatasetOptions(name=name, path=str(path), size=size))


def join(images: ImageSet) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    splits = (images.train, images.validation, images.test)
    return np.concatenate([s.images for s in splits]), np.concatenate([s.labels for s in splits])


def encode_all(images: NDArray[np.uint8], kind: str = "PNG") -> list[bytes]:
    return [encode_image(pixels, kind) for pixels in images]


def shuffled(count: int, seed: int = 42) -> NDArray[np.intp]:
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_decoded_images_are_the_written_ones(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    write_image_parquet(tmp_path / "some.parquet", encode_all(pixels), LABELS, NAMES)
    decoded = load(tmp_path / "some.parquet")
    images, labels = join(decoded)
    channels_last = pixels.reshape(40, 12, 12, -1)[shuffled(40)]
    np.testing.assert_array_equal(images, channels_last.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels, LABELS[shuffled(40)])
    assert decoded.classes == NAMES
    assert decoded.mean == decoded.std == (0.5,) * decoded.channels
    assert [len(split) for split in (decoded.train, decoded.validation, decoded.test)] == [28, 6, 6]


def test_jpeg_images_are_resized_as_pillow_does(tmp_path: Path) -> None:
    encoded = encode_all(COLOUR, "JPEG")
    write_image_parquet(tmp_path / "some.parquet", encoded, LABELS)
    images, _ = join(load(tmp_path, size=6))
    for image, row in zip(images, shuffled(40), strict=True):
        expected = Image.open(io.BytesIO(encoded[row])).resize((6, 6), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(image, np.asarray(expected).transpose(2, 0, 1))


def test_without_class_names_the_classes_are_the_sorted_labels(tmp_path: Path) -> None:
    write_image_parquet(tmp_path / "some.parquet", encode_all(GREY), LABELS * 10 - 5)
    decoded = load(tmp_path)
    assert decoded.classes == ("-5", "5", "15")
    np.testing.assert_array_equal(join(decoded)[1], LABELS[shuffled(40)])


def test_files_of_a_folder_are_pooled_in_name_order(tmp_path: Path) -> None:
    encoded = encode_all(GREY)
    write_image_parquet(tmp_path / "one.parquet", encoded, LABELS, NAMES)
    write_image_parquet(tmp_path / "many/data/test-00000.parquet", encoded[:15], LABELS[:15], NAMES)
    write_image_parquet(tmp_path / "many/data/train-00000.parquet", encoded[15:], LABELS[15:], NAMES)
    assert load(tmp_path / "many").fingerprint == load(tmp_path / "one.parquet").fingerprint


def test_images_follow_the_mode_of_the_first(tmp_path: Path) -> None:
    encoded = [encode_image(GREY[0]), *encode_all(COLOUR[1:])]
    write_image_parquet(tmp_path / "some.parquet", encoded, LABELS)
    decoded = load(tmp_path)
    luma = COLOUR[1:].astype(float) @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    expected = np.concatenate([GREY[:1], luma])[shuffled(40)]
    assert decoded.channels == 1
    assert np.abs(join(decoded)[0][:, 0] - expected).max() <= 1


def test_eurosat_has_its_classes_split_and_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(40) % 10
    spaced = ["Annual Crop", "Forest", "Herbaceous Vegetation", *EUROSAT_CLASSES[3:6], "Permanent Crop"]
    write_image_parquet(
        tmp_path / "eurosat/all.parquet", encode_all(GREY), labels, [*spaced, "Residential", "River", "SeaLake"]
    )
    monkeypatch.setenv("GEOZOO_DATA", str(tmp_path))
    eurosat = load_image_set(DatasetOptions(name="eurosat", size=12))
    assert eurosat.classes == EUROSAT_CLASSES
    assert (eurosat.channels, eurosat.mean) == (3, (0.485, 0.456, 0.406))
    assert [len(split) for split in (eurosat.train, eurosat.validation, eurosat.test)] == [32, 2, 6]
    images, decoded_labels = join(eurosat)
    np.testing.assert_array_equal(images, np.repeat(GREY[shuffled(40, 2020), None], 3, axis=1))
    np.testing.assert_array_equal(decoded_labels, labels[shuffled(40, 2020)])


def test_missing_files_are_named_with_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOZOO_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError, match=r"^[^\n]*$") as caught:
        load_image_set(DatasetOptions(name="eurosat"))
    for part in (".parquet", str(tmp_path / "eurosat_rgb"), str(tmp_path / "eurosat"), "Hugging Face", "dataset.path"):
        assert part in str(caught.value)
    with pytest.raises(DataNotFoundError, match=r"a \.parquet file of image set 'image_parquet' was not found"):
        load(tmp_path / "nowhere")


def replace_row(row: int, content: bytes | None) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        encoded: list[bytes | None] = list(encode_all(GREY))
        encoded[row] = content
        write_image_parquet(file, encoded, LABELS, NAMES)

    return write


def write_columns(**columns: pa.Array[Any]) -> Callable[[Path], None]:
    return lambda file: pq.write_table(pa.table(columns), file)


def write_labels(labels: list[int | None]) -> Callable[[Path], None]:
    return lambda file: write_image_parquet(file, encode_all(GREY[: len(labels)]), labels, NAMES)


def write_truncated(file: Path) -> None:
    write_image_parquet(file, encode_all(GREY), LABELS)
    file.write_bytes(file.read_bytes()[:-200])


def write_holed(file: Path) -> None:
    write_image_parquet(file, encode_all(GREY), LABELS)
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])


def write_bad_metadata(file: Path) -> None:
    write_image_parquet(file, encode_all(GREY), LABELS)
    pq.write_table(pq.read_table(file).replace_schema_metadata({"huggingface": "{"}), file)


SIXTEEN_BITS = encode_image(np.full((12, 12), 1000, np.uint16))
IMAGE_COLUMN = pa.array([{"bytes": b"", "path": ""}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        pytest.param(write_truncated, "cannot be read as Parquet", id="truncated"),
        pytest.param(write_holed, "cannot be read as Parquet", id="damaged pages"),
        pytest.param(lambda file: file.write_bytes(b"text"), "cannot be read as Parquet", id="not parquet"),
        pytest.param(write_columns(x=pa.array([1])), r"has the columns \['x'\], not 'image' and 'label'", id="columns"),
        pytest.param(
            write_columns(image=pa.array([b""]), label=pa.array([1])),
            "has image as binary and label as",
            id="image type",
        ),
        pytest.param(
            write_columns(image=IMAGE_COLUMN, label=pa.array(["a"])), "label as string, not struct", id="label type"
        ),
        pytest.param(replace_row(17, b"text"), "row 17 cannot be decoded: its format is unknown", id="no image"),
        pytest.param(replace_row(17, encode_image(GREY[17])[:-60]), "row 17 cannot be decoded", id="cut image"),
        pytest.param(replace_row(17, SIXTEEN_BITS), "at row 17 has mode 'I;16', not 8 bits", id="16 bits"),
        pytest.param(replace_row(3, None), "has no image bytes at row 3", id="no bytes"),
        pytest.param(write_labels([0, 1, None]), "has no label at row 2", id="no label"),
        pytest.param(write_labels([0, 3]), "has label 3 at row 1, outside 0 to 2", id="label"),
        pytest.param(write_labels([-1]), "has label -1 at row 0, outside 0 to 2", id="negative label"),
        pytest.param(write_labels([]), "has no rows", id="no rows"),
        pytest.param(write_bad_metadata, "has unreadable Hugging Face metadata", id="metadata"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, write: Callable[[Path], None], sentence: str) -> None:
    write(tmp_path / "some.parquet")
    with pytest.raises(DataCorruptError, match=sentence) as caught:
        load(tmp_path)
    assert str(tmp_path / "some.parquet") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_disagree_on_classes_are_refused(tmp_path: Path) -> None:
    write_image_parquet(tmp_path / "a.parquet", encode_all(GREY), LABELS, NAMES)
    write_image_parquet(tmp_path / "b.parquet", encode_all(GREY), LABELS, NAMES[::-1])
    with pytest.raises(DataCorruptError, match=r"b\.parquet has the classes .* but .*a\.parquet has"):
        load(tmp_path)


def test_another_set_is_not_taken_for_eurosat(tmp_path: Path) -> None:
    write_image_parquet(tmp_path / "a.parquet", encode_all(GREY), LABELS, NAMES)
    with pytest.raises(DataCorruptError, match="not those of 'eurosat': read it as 'image_parquet' instead"):
        load(tmp_path, name="eurosat")


def test_size_is_needed_where_the_first_image_is_not_square(tmp_path: Path) -> None:
    write_image_parquet(tmp_path / "a.parquet", encode_all(draw_images(40, (12, 10))), LABELS)
    with pytest.raises(RecipeError, match=r"at row 0 of 10x12 pixels cannot be squares as they are: give dataset.size"):
        load(tmp_path)
    assert load(tmp_path, size=5).size == 5


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("GEOZOO_DATA", ""), "eurosat_rgb")),
    reason="needs the real EuroSAT: set GEOZOO_DATA to a folder with eurosat_rgb/",
)
def test_real_eurosat() -> None:
    eurosat = load_image_set(DatasetOptions(name="eurosat", size=32))
    images, labels = join(eurosat)
    assert images.shape[1:] == (3, 32, 32)
    complete = [3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000]
    assert np.bincount(labels).tolist() == (complete if len(labels) == 27_000 else [1000] * 10)
    assert len(eurosat.train) == round(0.8 * len(labels))
    assert images.reshape(-1, 3, 32 * 32).std(axis=(1, 2)).min() > 0
