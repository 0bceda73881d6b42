"""Masks of the drawings: [SIZE, SIZE] fields in 0 (ground) to 1 (figure), each drawn from a random generator.

Directions are those in the drawing: "opening up" is a U, "pointing up" is a roof.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from atlas.model.demo import fields
from atlas.model.demo.fields import Field, Generator, grid, inside, smooth_noise, turned, wave

Mask = Callable[[Generator], Field]

# Degrees from +x, clockwise, since y points down.
_DIRECTIONS = {"right": 0, "down": 90, "left": 180, "up": 270}

# Degrees of the direction across the stripes; they run a quarter turn from it.
_STRIPES = {"upright": 0, "falling": 135, "level": 90, "rising": 45}

# Wavelengths in pixels; the gap between the two ranges keeps the classes apart.
_WAVELENGTHS = {"fine": (5, 8), "coarse": (13, 21)}

# The largest deviation from a class's direction, in degrees: less than half of the 45 between two directions
# of stripes.
_STRAY = 14


def _stray(rng: Generator, degrees: float) -> float:
    """Return an angle in radians, at most _STRAY degrees from `degrees`."""
    return float(np.deg2rad(degrees + rng.uniform(-_STRAY, _STRAY)))


def _scattered(rng: Generator, one: Callable[[Field, Field], Field], reach: float) -> Field:
    """Return the union of one to three copies of a figure, each axis within `reach` pixels of the middle."""
    x, y = grid()
    copies = [one(x - dx, y - dy) for dx, dy in rng.uniform(-reach, reach, (rng.integers(1, 4), 2))]
    return np.max(copies, axis=0)


def _windowed(rng: Generator, mask: Field) -> Field:
    """Return the mask; in about a third of all drawings it is 0 outside a random circle."""
    if rng.uniform() < 0.65:
        return mask
    x, y = grid()
    dx, dy = rng.uniform(-15, 15, 2)
    return mask * inside(np.hypot(x - dx, y - dy) - rng.uniform(26, 45))


def _warped(rng: Generator, amount: float) -> tuple[Field, Field]:
    """Return turned coordinates, bent by up to `amount` pixels over about a third of the drawing's width."""
    x, y = grid()
    u, v = turned(x, y, rng.uniform(0, np.pi))
    bend = [smooth_noise(rng, x / 30, y / 30) * rng.uniform(0, amount) for _ in range(2)]
    return u + bend[0], v + bend[1]


def curve(direction: str) -> Mask:
    """Return the mask of arcs that open towards a direction."""

    def mask(rng: Generator) -> Field:
        # The arc lies on the side of its centre opposite to the opening.
        angle = _stray(rng, _DIRECTIONS[direction] + 180)
        radius, half_angle = rng.uniform(12, 30), rng.uniform(0.9, 1.5)
        thickness = rng.uniform(1.2, 3.5)

        def one(x: Field, y: Field) -> Field:
            return inside(fields.arc_distance(*turned(x, y, angle), radius, half_angle) - thickness)

        return _scattered(rng, one, 26)

    return mask


def corner(direction: str) -> Mask:
    """Return the mask of corners, each of two straight arms, that point towards a direction."""

    def mask(rng: Generator) -> Field:
        angle, spread = _stray(rng, _DIRECTIONS[direction]), rng.uniform(0.55, 0.95)
        length, thickness = rng.uniform(18, 36), rng.uniform(1.2, 3.5)
        tip = np.array([length / 3, 0.0])
        arms = [tip + length * np.array([-np.cos(spread), side * np.sin(spread)]) for side in (-1, 1)]

        def one(x: Field, y: Field) -> Field:
            u, v = turned(x, y, angle)
            return inside(np.minimum(*[fields.segment_distance(u, v, tip, arm) for arm in arms]) - thickness)

        return _scattered(rng, one, 26)

    return mask


def stripes(run: str, width: str) -> Mask:
    """Return the mask of stripes of one direction and one range of wavelengths."""

    def mask(rng: Generator) -> Field:
        u, _ = turned(*grid(), _stray(rng, _STRIPES[run]))
        return _windowed(rng, wave(rng, u, rng.uniform(*_WAVELENGTHS[width])))

    return mask


def dots(rng: Generator) -> Field:
    """Return round dots on a bent lattice."""
    u, v = _warped(rng, 6)
    step = rng.uniform(8, 16)
    across = [np.abs((w / step + rng.uniform()) % 1 - 0.5) * step for w in (u, v)]
    return _windowed(rng, inside(np.hypot(*across) - step * rng.uniform(0.22, 0.36)))


def checkerboard(rng: Generator) -> Field:
    """Return squares in two alternating colours."""
    u, v = _warped(rng, 4)
    step = rng.uniform(5, 12)
    product = np.sin(np.pi * (u / step + rng.uniform())) * np.sin(np.pi * (v / step + rng.uniform()))
    return _windowed(rng, np.clip(0.5 + 3 * product, 0, 1))


def hatching(rng: Generator) -> Field:
    """Return thin lines that cross at nearly right angles."""
    u, v = _warped(rng, 4)
    step, thickness = rng.uniform(8, 15), rng.uniform(0.8, 1.6)
    across = [
        np.abs((w / step + rng.uniform()) % 1 - 0.5) * step for w in (u, v + u * rng.uniform(-0.2, 0.2))
    ]
    return _windowed(rng, inside(np.minimum(*across) - thickness))


def speckle(rng: Generator) -> Field:
    """Return smooth noise without direction, at a random scale."""
    x, y = grid()
    scale = rng.uniform(1.5, 8)
    return _windowed(rng, np.clip(0.5 + rng.uniform(1, 3) * smooth_noise(rng, x / scale, y / scale), 0, 1))


def fur(rng: Generator) -> Field:
    """Return strokes that follow a slowly turning direction."""
    x, y = grid()
    turn = smooth_noise(rng, x / 60, y / 60) * rng.uniform(0.2, 0.7) + rng.uniform(0, np.pi)
    u, v = turned(x, y, turn)
    strokes = smooth_noise(rng, u / rng.uniform(12, 22), v / rng.uniform(1.6, 2.8))
    return _windowed(rng, np.clip(0.5 + rng.uniform(1.2, 2.5) * strokes, 0, 1))


def disc(rng: Generator) -> Field:
    """Return filled circles."""
    radius = rng.uniform(9, 26)
    return _scattered(rng, lambda x, y: inside(np.hypot(x, y) - radius), 26)


def ring(rng: Generator) -> Field:
    """Return outlined circles."""
    radius, thickness = rng.uniform(10, 26), rng.uniform(1.2, 3.5)
    return _scattered(rng, lambda x, y: inside(np.abs(np.hypot(x, y) - radius) - thickness), 26)


def polygon(corners: Callable[[Generator], np.ndarray]) -> Mask:
    """Return the mask of filled or outlined polygons, turned at random; `corners` returns [count, 2]."""

    def mask(rng: Generator) -> Field:
        points, angle = corners(rng), rng.uniform(0, 2 * np.pi)
        outlined, thickness = rng.uniform() < 0.4, rng.uniform(1.2, 3)

        def one(x: Field, y: Field) -> Field:
            distance = fields.polygon_distance(*turned(x, y, angle), points)
            return inside(np.abs(distance) - thickness if outlined else distance)

        return _scattered(rng, one, 22)

    return mask


def left_half(rng: Generator) -> Field:
    """Return the part left of a steep, wavy border near the middle."""
    x, y = grid()
    u, _ = turned(x, y, np.deg2rad(rng.uniform(-30, 30)))
    bend = smooth_noise(rng, x / 20, y / 20) * rng.uniform(0, 10)
    return inside((u + bend - rng.uniform(-16, 16)) / rng.uniform(1, 6))


def frequency_border(*, fine_left: bool) -> Mask:
    """Return the mask of a texture that is fine on one side of a border and coarse on the other."""

    def mask(rng: Generator) -> Field:
        wavelengths = [rng.uniform(*_WAVELENGTHS[width]) for width in ("fine", "coarse")]
        fine, coarse = _texture(rng, wavelengths)
        left = left_half(rng)
        share = left if fine_left else 1 - left
        return fine * share + coarse * (1 - share)

    return mask


def _texture(rng: Generator, wavelengths: list[float]) -> list[Field]:
    """Return stripes, checks or speckle, one kind and direction at random, at each wavelength in pixels."""
    kind = rng.integers(3)
    u, v = turned(*grid(), rng.uniform(0, np.pi))
    if kind == 0:
        return [wave(rng, u, length) for length in wavelengths]
    if kind == 1:
        return [np.clip(0.5 + 3 * np.sin(np.pi * u / s) * np.sin(np.pi * v / s), 0, 1) for s in wavelengths]
    return [np.clip(0.5 + 2 * smooth_noise(rng, u / s * 2, v / s * 2), 0, 1) for s in wavelengths]


def _all() -> dict[str, Mask]:
    """Return every mask that takes any two colours, by its label, in the labels' order."""
    return {
        **{f"curve opening {way}": curve(way) for way in _DIRECTIONS},
        **{f"corner pointing {way}": corner(way) for way in _DIRECTIONS},
        **{f"{width} {run} stripes": stripes(run, width) for run in _STRIPES for width in _WAVELENGTHS},
        "dots": dots,
        "checkerboard": checkerboard,
        "hatching": hatching,
        "speckle": speckle,
        "fur": fur,
        "disc": disc,
        "ring": ring,
        "square": polygon(lambda rng: fields.regular_corners(4, rng.uniform(14, 30))),
        "triangle": polygon(lambda rng: fields.regular_corners(3, rng.uniform(15, 32))),
        "star": polygon(lambda rng: fields.star_corners(5, rng.uniform(16, 34), rng.uniform(0.4, 0.5))),
        "fine left of coarse": frequency_border(fine_left=True),
        "coarse left of fine": frequency_border(fine_left=False),
    }


ALL = _all()
