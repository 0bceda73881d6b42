"""Faster kernels with the same results: convolution gradients, local response normalization.

On a CPU, TensorFlow's gradient of a strided convolution with respect to few channels is several times
slower than the convolution, and so is its normalization; docs/performance.md has the figures.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.records import Floats
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1

# With respect to at most this many channels, the gradient is computed phase by phase.
FEW_CHANNELS = 8
# Under this name TensorFlow knows the gradient of `normalization`.
_NORMALIZATION = "AtlasNormalization"


def input_gradient(grad: Any, kernel: Floats, *, stride: int, shape: Any) -> Any:
    """Return the gradient with respect to the input of a VALID convolution, as one convolution.

    grad [n, h, w, target]; kernel [size, size, source, target]; `shape` the input's (n, h, w, source).
    Each of the stride² phases of the result is a convolution of `grad` with every stride-th tap. One
    convolution to stride² * source channels computes all of them, and depth_to_space interleaves them.
    """
    taps = -(-kernel.shape[0] // stride)
    flipped = phase_kernel(kernel, stride)
    edge = [[0, 0], [taps - 1, taps - 1], [taps - 1, taps - 1], [0, 0]]
    phases = tf.nn.conv2d(tf.pad(grad, edge), tf.constant(flipped, grad.dtype), 1, "VALID")
    whole = tf.depth_to_space(phases, stride)
    h, w = int(shape[1]), int(shape[2])
    lack = [max(h - int(whole.shape[1]), 0), max(w - int(whole.shape[2]), 0)]
    if any(lack):
        whole = tf.pad(whole, [[0, 0], [0, lack[0]], [0, lack[1]], [0, 0]])
    return whole[:, :h, :w]


def phase_kernel(kernel: Floats, stride: int) -> Floats:
    """Return float32 [taps, taps, target, stride² * source] of a kernel [size, size, source, target]."""
    size, _, n_source, n_target = kernel.shape
    taps = -(-size // stride)
    padded = np.zeros((taps * stride, taps * stride, n_source, n_target), np.float32)
    padded[:size, :size] = kernel
    split = padded.reshape(taps, stride, taps, stride, n_source, n_target)[::-1, :, ::-1]
    return np.ascontiguousarray(
        split.transpose(0, 2, 5, 1, 3, 4).reshape(taps, taps, n_target, stride * stride * n_source)
    )


def spread(kernel: Any, by_height: int, by_width: int) -> Any:
    """Return a kernel [h, w, …] with zeros between its taps, so that it needs no dilation."""
    if (by_height, by_width) == (1, 1):
        return kernel
    h, w, *channels = (int(n) for n in kernel.shape)
    gaps = [[0, 0], [0, by_height - 1], [0, 0], [0, by_width - 1], [0, 0], [0, 0]]
    apart = tf.pad(tf.reshape(kernel, [h, 1, w, 1, *channels]), gaps)
    whole = tf.reshape(apart, [h * by_height, w * by_width, *channels])
    return whole[: (h - 1) * by_height + 1, : (w - 1) * by_width + 1]


def normalization(x: Any, *, radius: int, bias: float, alpha: float, beta: float, dtype: Any) -> Any:
    """Return TensorFlow's `lrn` of x [n, h, w, channel], with its gradient, each compiled into one loop.

    `x` and the result, of type `dtype`, are float32 or bfloat16; the computation is in float32. Works in
    graphs alone.
    """

    def forward(x: Any) -> Any:
        x = tf.cast(x, tf.float32)
        inverse = 1 / (bias + alpha * _window_sum(x * x, radius))
        return tf.cast(x * _power(inverse, beta), dtype), inverse

    y, inverse = _compiled(forward)(x)
    numbers = tf.constant([radius, alpha, beta], tf.float64)
    # `tf.custom_gradient` would register a function for each call, which keeps its graph for ever.
    with tf.get_default_graph().gradient_override_map({"IdentityN": _NORMALIZATION}):
        return tf.identity_n([y, x, inverse, numbers])[0]


def _normalization_gradient(op: Any, grad: Any, *_: Any) -> tuple[None, Any, None, None]:
    radius, alpha, beta = (float(number) for number in tf.get_static_value(op.inputs[3]))

    def backward(y: Any, x: Any, inverse: Any, grad: Any) -> Any:
        input_dtype, (x, y, grad) = x.dtype, (tf.cast(t, tf.float32) for t in (x, y, grad))
        spread = _window_sum(grad * y * inverse, int(radius))
        return tf.cast(grad * _power(inverse, beta) - 2 * alpha * beta * x * spread, input_dtype)

    return None, _compiled(backward)(*op.inputs[:3], grad), None, None


tf.RegisterGradient(_NORMALIZATION)(_normalization_gradient)


def _window_sum(values: Any, radius: int) -> Any:
    """Return the sum over each channel's neighbours."""
    n_channels = int(values.shape[-1])
    padded = tf.pad(values, [[0, 0], [0, 0], [0, 0], [radius, radius]])
    return tf.add_n([padded[..., k : k + n_channels] for k in range(2 * radius + 1)])


def _power(inverse: Any, beta: float) -> Any:
    """Return inverse ** beta; for 0.75, as in AlexNet and GoogLeNet, from square roots, which are faster."""
    if beta == 0.75:
        root = tf.sqrt(inverse)
        return root * tf.sqrt(root)
    return inverse**beta


def _compiled(function: Any) -> Any:
    return tensorflow.function(function, jit_compile=True, autograph=False)
