"""The image as its Fourier spectrum in decorrelated colours (Lucid: optvis.param.spatial, .color).

A spectrum is float32 [2, n, channel, h, f]: real and imaginary parts of a real FFT along the width.
Adam's steps are equally large for all entries, so `frequency_scale` decides which frequencies change fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.records import Floats
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1

# Standard deviation of the start, and the divisor of the finished image (Lucid: fft_image).
START_SD = 0.01
LUCID_FFT_SCALE = 4.0
# Square root of the correlation of colours over ImageNet (Lucid: color_correlation_svd_sqrt).
COLOUR_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)


def even_width(width: int) -> int:
    """Return the width of the FFT, which is even: an image of odd width is cut from one pixel more."""
    return width + width % 2


def spectrum_shape(size: tuple[int, int], n_channels: int) -> tuple[int, int, int, int]:
    """Return (2, channel, h, f), the shape of one image's spectrum."""
    h, w = size
    return 2, n_channels, h, even_width(w) // 2 + 1


def frequency_scale(size: tuple[int, int]) -> Floats:
    """Return float32 [h, f]: one over the frequency, times the factor that makes the FFT unitary, over 4."""
    h, w = size
    fy = np.fft.fftfreq(h)[:, None]
    # Lucid takes a slice of fftfreq, whose last entry is negative; only its square is used.
    fx = np.fft.fftfreq(w)[: even_width(w) // 2 + 1]
    frequency = np.maximum(np.hypot(fy, fx), 1.0 / max(h, w))
    return np.asarray(np.sqrt(w * h) / frequency / LUCID_FFT_SCALE, np.float32)


def start(shape: tuple[int, int, int, int], *, seed: int, neurons: Sequence[int]) -> Floats:
    """Return float32 [2, n, channel, h, f]: noise that depends on the seed and each neuron alone."""
    noise = [np.random.default_rng([seed, neuron]).standard_normal(shape, np.float32) for neuron in neurons]
    return np.asarray(np.stack(noise, 1) * START_SD, np.float32)


def colour_matrix(n_channels: int) -> Floats:
    """Return float32 [channel, channel] from decorrelated colours to RGB; the identity for grey."""
    if n_channels != len(COLOUR_SQRT):
        return np.eye(n_channels, dtype=np.float32)
    return np.asarray(COLOUR_SQRT / np.linalg.norm(COLOUR_SQRT, axis=0).max(), np.float32)


def held(image: Any, fixed: Sequence[tuple[int, float]]) -> Any:
    """Return an image tensor [n, channel, h, w] with some bands, numbered from 1, held at a value."""
    if not fixed:
        return image
    bands = tf.unstack(image, axis=1)
    for band, value in fixed:
        bands[band - 1] = tf.fill(tf.shape(bands[band - 1]), value)
    return tf.stack(bands, 1)


def image_of(spectrum: Any, size: tuple[int, int]) -> Any:
    """Return the image tensor [n, channel, h, w] in (0, 1) of a spectrum tensor."""
    n_channels = int(spectrum.shape[2])
    flat = tf.reshape(spectrum * frequency_scale(size), [2, -1, n_channels, int(np.prod(spectrum.shape[3:]))])
    mixed = tf.reshape(tf.matmul(colour_matrix(n_channels), flat), tf.shape(spectrum))
    h, w = size
    real, imaginary = tf.unstack(mixed)
    image = tf.signal.irfft2d(tf.complex(real, imaginary), [h, even_width(w)])
    return tf.sigmoid(image if w == even_width(w) else image[..., :w])
