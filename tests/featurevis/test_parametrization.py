"""The Fourier image, against NumPy and Lucid's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.featurevis import parametrization as p
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1


def drawn(spectrum: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(p.image_of(tf.constant(spectrum), size))


def by_numpy(spectrum: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One image after Lucid's fft_image and to_valid_rgb, loops and all."""
    h, w = size
    fy = np.fft.fftfreq(h)[:, None]
    fx = np.fft.fftfreq(w)[: w // 2 + (2 if w % 2 else 1)]
    scale = 1 / np.maximum(np.sqrt(fx**2 + fy**2), 1 / max(h, w)) * np.sqrt(w * h)
    plane = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) * scale)[:, :h, :w] / 4
    colours = p.COLOUR_SQRT / np.linalg.norm(p.COLOUR_SQRT, axis=0).max()
    rgb = np.einsum("dc,chw->dhw", colours, plane) if len(plane) == 3 else plane
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize(("size", "n_channels"), [((6, 8), 3), ((7, 9), 3), ((10, 5), 1)])
def test_image_is_lucids(size: tuple[int, int], n_channels: int) -> None:
    """Images of even and odd sides, RGB and grey, equal NumPy's reading of Lucid's formulas."""
    shape = p.spectrum_shape(size, n_channels)
    spectra = p.start(shape, seed=3, neurons=[4, 9]) * 20
    images = drawn(spectra, size)
    assert images.shape == (2, n_channels, *size)
    for i in range(2):
        np.testing.assert_allclose(images[i], by_numpy(spectra[:, i], size), atol=2e-5)


def test_start_belongs_to_the_neuron() -> None:
    """A neuron's noise is the same in any company, and differs by seed and neuron."""
    shape = p.spectrum_shape((6, 8), 3)
    alone = p.start(shape, seed=1, neurons=[7])
    among = p.start(shape, seed=1, neurons=[5, 6, 7])
    np.testing.assert_array_equal(alone[:, 0], among[:, 2])
    assert not np.array_equal(among[:, 0], among[:, 2])
    assert not np.array_equal(alone, p.start(shape, seed=2, neurons=[7]))
    assert np.std(among) == pytest.approx(p.START_SD, rel=0.1)
