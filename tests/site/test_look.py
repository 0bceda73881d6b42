"""Colours of weights: the other palette tells signs and sizes as truly as the first, and stands out more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.drawing.images import signed_colours

Doubles = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
# sRGB's white point and primaries (IEC 61966-2-1).
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.fixture(scope="module")
def palettes(rendered: Path) -> dict[str, Doubles]:
    """Colours [weight, rgb] in [0, 1] of weights from -1 to 1, as they are and through the page's filter."""
    html = (rendered / "mixed3b_4.html").read_text()
    found = re.search(r'<filter id="orange-purple"[^>]*><feColorMatrix values="([^"]+)"/>', html)
    assert found is not None
    matrix = np.array(found[1].split(), float).reshape(4, 5)
    plain = signed_colours(np.linspace(-1, 1, 127, dtype=np.float32), 1.0) / 255
    turned = np.clip(plain @ matrix[:3, :3].T + matrix[:3, 4], 0, 1)
    return {"red-blue": plain, "orange-purple": turned}


def linear(colours: Doubles) -> Doubles:
    """Return sRGB as linear light."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def lab(light: Doubles) -> Doubles:
    """Return linear light as CIE Lab, in which distances are about what the eye sees."""
    ratio = light @ XYZ.T / XYZ.sum(1)
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@pytest.mark.parametrize("name", ["red-blue", "orange-purple"])
def test_larger_weights_are_darker(palettes: dict[str, Doubles], name: str) -> None:
    """Towards both ends the colours darken step by step, and zero is the white that it was."""
    colours = palettes[name]
    luminance = linear(colours) @ XYZ[1]
    assert (np.diff(luminance[:64]) > 0).all()
    assert (np.diff(luminance[63:]) < 0).all()
    np.testing.assert_allclose(colours[63], 247 / 255, atol=0.002)


def test_signs_have_their_own_side(palettes: dict[str, Doubles]) -> None:
    """Positive ones are more red than blue, negative ones more blue than red, in both palettes."""
    for colours in palettes.values():
        reddish = colours[:, 0] - colours[:, 2]
        assert (reddish[:63] < 0).all()
        assert (reddish[64:] > 0).all()


@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_other_palette_is_easier_to_tell_apart(palettes: dict[str, Doubles], kind: str) -> None:
    """For the colour-blind, a weight and its negative lie at least a fifth further apart, large or small."""
    seen = {
        name: lab(np.clip(linear(colours) @ np.array(BLINDNESS[kind]).T, 0, 1))
        for name, colours in palettes.items()
    }
    apart = {name: np.linalg.norm(colours - colours[::-1], axis=1)[:58] for name, colours in seen.items()}
    assert (apart["orange-purple"] > 1.2 * apart["red-blue"]).all()


def test_style_and_scripts_fit_their_budget(rendered: Path) -> None:
    """Style sheet and scripts have at most 60 kB together, the search records left out."""
    sizes = {
        path.name: path.stat().st_size
        for path in (rendered / "static").iterdir()
        if path.suffix in (".css", ".js") and not path.name.startswith("search.")
    }
    assert sum(sizes.values()) <= 60_000, sizes
