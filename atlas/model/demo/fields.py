"""Fields over the pixels of a drawing: distances to figures, waves and smooth noise.

A field is an array of floats, [SIZE, SIZE], rows first. Coordinates are in pixels, x to the right, y
downwards, zero in the middle of the drawing. Angles are in radians, from +x towards +y, which is clockwise
in the drawing.

The distance functions are exact, see https://iquilezles.org/articles/distfunctions2d/
"""

from __future__ import annotations

import numpy as np

Field = np.ndarray
Generator = np.random.Generator

# Height and width of a drawing, in pixels; conv2d0, maxpool0, maxpool1 and maxpool4 halve them to 6.
SIZE = 96

# Side of the random lattice of smooth noise. The lattice repeats, but a drawing covers less than one period.
_LATTICE = 64


def grid() -> tuple[Field, Field]:
    """Return the x and the y of every pixel's centre, two fields in pixels."""
    axis = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return x, y


def turned(x: Field, y: Field, angle: float | Field) -> tuple[Field, Field]:
    """Return coordinates (u, v): u grows in the direction of the angle, v a quarter turn clockwise."""
    c, s = np.cos(angle), np.sin(angle)
    return x * c + y * s, y * c - x * s


def inside(distance: Field) -> Field:
    """Return 1 where a signed distance is negative, 0 where it is positive, anti-aliased over one pixel."""
    return np.clip(0.5 - distance, 0, 1)


def arc_distance(x: Field, y: Field, radius: float, half_angle: float) -> Field:
    """Return the distance to an arc of a circle around zero, from -half_angle to +half_angle about +x."""
    rim = np.abs(np.hypot(x, y) - radius)
    tip = np.hypot(x - radius * np.cos(half_angle), np.abs(y) - radius * np.sin(half_angle))
    return np.where(np.abs(np.arctan2(y, x)) <= half_angle, rim, tip)


def segment_distance(x: Field, y: Field, start: np.ndarray, end: np.ndarray) -> Field:
    """Return the distance to the line segment between two points, each [2] as x, y."""
    dx, dy = end - start
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def polygon_distance(x: Field, y: Field, corners: np.ndarray) -> Field:
    """Return the signed distance to a polygon's outline, negative inside; `corners` is [count, 2] as x, y."""
    ends = np.roll(corners, -1, axis=0)
    distance = np.min([segment_distance(x, y, a, b) for a, b in zip(corners, ends, strict=True)], axis=0)
    crossings = sum(_crosses(x, y, a, b) for a, b in zip(corners, ends, strict=True))
    return np.where(crossings % 2 == 1, -distance, distance)


def _crosses(x: Field, y: Field, start: np.ndarray, end: np.ndarray) -> Field:
    """Return 1 where a ray towards +x crosses the line segment between two points, else 0."""
    if start[1] == end[1]:
        return np.zeros(x.shape, np.int32)
    between = (start[1] > y) != (end[1] > y)
    meeting = start[0] + (y - start[1]) * (end[0] - start[0]) / (end[1] - start[1])
    return (between & (x < meeting)).astype(np.int32)


def star_corners(points: int, radius: float, waist: float) -> np.ndarray:
    """Return the corners of a star, [2 * points, 2]; `waist` is the inner radius over the outer one."""
    angles = np.arange(2 * points) * np.pi / points
    radii = radius * np.where(np.arange(2 * points) % 2 == 0, 1, waist)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def regular_corners(count: int, radius: float) -> np.ndarray:
    """Return the corners of a regular polygon, [count, 2]."""
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def smooth_noise(rng: Generator, u: Field, v: Field) -> Field:
    """Return noise in -1 to 1 that changes over a length of 1 in u and v, from a random lattice."""
    lattice = rng.uniform(-1, 1, (_LATTICE, _LATTICE)).astype(np.float32)
    left, top = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    a, b = _eased(u - left), _eased(v - top)
    rows, next_rows = top % _LATTICE, (top + 1) % _LATTICE
    columns, next_columns = left % _LATTICE, (left + 1) % _LATTICE
    upper = lattice[rows, columns] * (1 - a) + lattice[rows, next_columns] * a
    lower = lattice[next_rows, columns] * (1 - a) + lattice[next_rows, next_columns] * a
    return upper * (1 - b) + lower * b


def _eased(t: Field) -> Field:
    """Return a smooth step from 0 to 1, with slope 0 at both ends."""
    return t * t * (3 - 2 * t)


def wave(rng: Generator, u: Field, wavelength: float) -> Field:
    """Return stripes across u, 0 to 1, sine or nearly square, at a random phase; wavelength in pixels."""
    phase = rng.uniform(0, 2 * np.pi)
    # A hardness above 1 clips the sine to stripes whose edges are still anti-aliased.
    hardness = rng.choice([1.0, 3.0])
    return np.clip(0.5 + 0.5 * hardness * np.sin(2 * np.pi * u / wavelength + phase), 0, 1)
