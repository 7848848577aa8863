"""From options to a decoded, split image set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.datasets.images import ImageSet, ImageSplit, fingerprint
from geozoo.datasets.registry import find_record
from geozoo.datasets.split import shuffled_rows, split_rows
from geozoo.errors import DataCorruptError, RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geozoo.datasets.options import DatasetOptions
    from geozoo.datasets.record import Decoded, ImageSetRecord


def load_image_set(options: DatasetOptions) -> ImageSet:
    """Read, decode and split an image set; nothing is downloaded.

    Splits are cut from one permutation by ``numpy.random.Generator(PCG64(split_seed))``; a split that the set brings
    keeps its images and is only shuffled, by the same seed. Limits come last and keep the first images of each split.

    Raises:
        DataNotFoundError: the files are not where they were looked for.
        DataCorruptError: a file is damaged, or holds too few images to split.
        RecipeError: a limit exceeds its split.
    """
    record = find_record(options.name)
    decoded = record.read(record, options.path, options.preparation)
    splits = {
        name: source.take(_limit(rows, name, getattr(options.limits, name)))
        for name, (source, rows) in _assign_rows(record, decoded, options).items()
    }
    channels = decoded.pool.images.shape[1]
    mean, std = (_per_channel(values, channels) for values in (options.mean or record.mean, options.std or record.std))
    return ImageSet(
        name=record.name,
        classes=decoded.classes,
        mean=mean,
        std=std,
        fingerprint=fingerprint(splits.values(), decoded.classes, mean, std),
        **splits,
    )


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise RecipeError(
            f"normalisation has {len(values)} values but images have {channels} channels: give dataset.mean and "
            "dataset.std, one value for each or one for all"
        )
    return values * channels if len(values) == 1 else values


def _assign_rows(
    record: ImageSetRecord, decoded: Decoded, options: DatasetOptions
) -> dict[str, tuple[ImageSplit, NDArray[np.intp]]]:
    pool, seed = decoded.pool, options.split_seed
    train, validation, test = split_rows(len(pool), options.validation or record.validation, record.test, seed)
    parts = {"train": (pool, train), "validation": (pool, validation), "test": (pool, test)}
    for name, brought in (("validation", decoded.validation), ("test", decoded.test)):
        if brought is not None:
            parts[name] = (brought, shuffled_rows(len(brought), seed))
    for name, (source, rows) in parts.items():
        if not len(rows):
            raise DataCorruptError(
                f"the {name} split of image set {record.name!r} would be empty because its files hold only "
                f"{len(source)} images: provide the complete files"
            )
    return parts


def _limit(rows: NDArray[np.intp], name: str, limit: int | None) -> NDArray[np.intp]:
    if limit is not None and limit > len(rows):
        raise RecipeError(
            f"limits.{name} is {limit} but the {name} split has {len(rows)} images: lower the limit or leave it out"
        )
    return rows[:limit]
