"""From the published layout of a data set to tiles: add a reader in its own file and name it in the registry."""

from geozoo.eo.readers.registry import READERS, find_collection, find_reader

__all__ = ["READERS", "find_collection", "find_reader"]
