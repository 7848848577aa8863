"""Where a chip lies on the ground, as GeoParquet has it."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.warp import apply_affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.eo.tiles import Grid, Window

GEO_METADATA = json.dumps(
    {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
    }
)
"""The ``geo`` metadata of a GeoParquet file whose geometry is in longitude and latitude (OGC:CRS84, the default)."""
EARTH_RADIUS = 6_371_007.2
"""Of the sphere with the area of the WGS 84 ellipsoid, in metres."""

Ring = list[tuple[float, float]]


def footprints(grid: Grid, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Facts on the place of each window; all are None where the file has none.

    ``crs`` (as text), ``bounds`` (west, south, east, north, in it), ``geometry`` (WKB in degrees, cut in two at the
    antimeridian) and ``area`` (square metres; of the sphere with the area of the ellipsoid, within half a percent).
    """
    if grid.transform is None:
        return [{"crs": None, "bounds": None, "geometry": None, "area": None} for _ in windows]
    from rasterio.warp import transform_geom

    outlines = [{"type": "Polygon", "coordinates": [_ring(grid, window)]} for window in windows]
    facts = []
    for window, turned in zip(
        windows, transform_geom(grid.crs, "EPSG:4326", outlines, antimeridian_cutting=True), strict=True
    ):
        parts = turned["coordinates"]
        polygons: list[Ring] = [parts[0]] if turned["type"] == "Polygon" else [one[0] for one in parts]
        facts.append(
            {
                "crs": grid.crs.to_string(),
                "bounds": list(grid.bounds(window) or ()),
                "geometry": as_wkb(polygons),
                "area": sum(map(sphere_area, polygons)),
            }
        )
    return facts


def _ring(grid: Grid, window: Window) -> Ring:
    top, left, bottom, right = window.row, window.column, window.row + window.height, window.column + window.width
    places = ((left, bottom), (right, bottom), (right, top), (left, top), (left, bottom))
    return [apply_affine(grid.transform, *place) for place in places]


def as_wkb(polygons: list[Ring]) -> bytes:
    """One polygon, or several as a multi-polygon, each of one closed ring, as little-endian well-known binary."""
    if len(polygons) > 1:
        return struct.pack("<BII", 1, 6, len(polygons)) + b"".join(as_wkb([one]) for one in polygons)
    (ring,) = polygons
    flat = [coordinate for point in ring for coordinate in point]
    return struct.pack(f"<BIII{len(flat)}d", 1, 3, 1, len(ring), *flat)


def sphere_area(ring: Ring) -> float:
    """Square metres inside a closed ring in degrees: that of its plane image under the cylindrical equal-area map."""
    degrees = np.radians(np.asarray(ring))
    x, y = degrees[:, 0] - degrees[0, 0], np.sin(degrees[:, 1]) - np.sin(degrees[0, 1])
    return float(abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2 * EARTH_RADIUS**2)
