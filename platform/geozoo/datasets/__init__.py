"""Image sets for model zoos: read, decoded to ``uint8``, split by a seed, and fingerprinted.

Readers import their libraries when they are called, so that importing this package is light.
"""

from geozoo.datasets.images import ImageSet, ImageSplit, fingerprint, normalise
from geozoo.datasets.load import load_image_set
from geozoo.datasets.options import DatasetOptions, SplitLimits
from geozoo.datasets.record import ImageSetRecord
from geozoo.datasets.registry import IMAGE_SETS, find_record

__all__ = [
    "IMAGE_SETS",
    "DatasetOptions",
    "ImageSet",
    "ImageSetRecord",
    "ImageSplit",
    "SplitLimits",
    "find_record",
    "fingerprint",
    "load_image_set",
    "normalise",
]
