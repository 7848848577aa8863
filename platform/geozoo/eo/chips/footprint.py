"""Where a chip lies on the ground, as GeoParquet has it."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geozoo.eo.tiles import Grid, Window

GEO_METADATA = json.dumps(
    {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}},
    }
)
"""The ``geo`` metadata of a GeoParquet file whose geometry is in longitude and latitude (OGC:CRS84, the default)."""


def footprint(grid: Grid, window: Window) -> dict[str, Any]:
    """``crs`` (as text), ``bounds`` (west, south, east, north, in it) and ``geometry`` (WKB in degrees) of a window.

    All are None where the file has no place on the ground.
    """
    bounds = grid.bounds(window)
    if bounds is None:
        return {"crs": None, "bounds": None, "geometry": None}
    from rasterio.warp import transform

    west, south, east, north = bounds
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    xs, ys = zip(*corners, strict=True)
    longitudes, latitudes = transform(grid.crs, "EPSG:4326", xs, ys)
    return {
        "crs": grid.crs.to_string(),
        "bounds": list(bounds),
        "geometry": polygon_wkb(list(zip(longitudes, latitudes, strict=True))),
    }


def polygon_wkb(ring: list[tuple[float, float]]) -> bytes:
    """A polygon of one closed ring as little-endian well-known binary."""
    flat = [coordinate for point in ring for coordinate in point]
    return struct.pack(f"<BIII{len(flat)}d", 1, 3, 1, len(ring), *flat)
