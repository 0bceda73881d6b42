"""The demo network: InceptionV1's shape and node names with few channels, as TensorFlow operations.

`forward` is used twice, so that training and export cannot differ: for training with batch normalization
between a convolution and its bias, for export with plain weights. For a neuron layer X the nodes are
X_pre_bias/conv, X_pre_relu (with the bias) and X; a mixed block is the concatenation of X_1x1, X_3x3, X_5x5
and X_pool_reduce, in this order.

Weights are [height, width, channels in, channels out] (HWIO), biases [channels out].
Layout after Szegedy et al. 2014, "Going deeper with convolutions", table 1 and figure 2b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from atlas.model.demo.drawings import LABELS

# Taken from every channel of the image, whose values are 0 to 255.
MEAN = 128.0

# Of localresponsenorm0 and 1. InceptionV1's alpha of 2e-5 suits activations of about 100; batch
# normalization keeps ours near 1, where 2e-2 has an effect of the same kind: strong pixels are toned down by
# up to about a half.
_LRN = {"depth_radius": 2, "bias": 1.0, "alpha": 0.02, "beta": 0.75}


@dataclass(frozen=True)
class Block:
    """Channels of a mixed block's convolutions; the block has one + three + five + pool of them."""

    one: int
    three_bottleneck: int
    three: int
    five_bottleneck: int
    five: int
    pool: int

    @property
    def channels(self) -> int:
        """Channels of the concatenated block."""
        return self.one + self.three + self.five + self.pool


# Every count differs from its neighbours', so that swapped axes do not go unseen.
STEM = {"conv2d0": (7, 24), "conv2d1": (1, 20), "conv2d2": (3, 40)}
BLOCKS = {
    "mixed3a": Block(14, 18, 24, 7, 10, 8),
    "mixed3b": Block(19, 22, 30, 9, 13, 10),
    "mixed4a": Block(23, 26, 36, 11, 17, 12),
}
LAYERS = {name: channels for name, (_, channels) in STEM.items()} | {
    name: block.channels for name, block in BLOCKS.items()
}

Weights = Mapping[str, tf.Tensor | np.ndarray]
# Normalizes a convolution's output before its bias: (layer's name, [N, h, w, channels]) to the same shape.
Normalize = Callable[[str, tf.Tensor], tf.Tensor]


def _block_shapes(name: str, channels: int, block: Block) -> dict[str, tuple[int, ...]]:
    """Kernel shapes of a mixed block that reads the given number of channels."""
    return {
        f"{name}_1x1": (1, 1, channels, block.one),
        f"{name}_3x3_bottleneck": (1, 1, channels, block.three_bottleneck),
        f"{name}_3x3": (3, 3, block.three_bottleneck, block.three),
        f"{name}_5x5_bottleneck": (1, 1, channels, block.five_bottleneck),
        f"{name}_5x5": (5, 5, block.five_bottleneck, block.five),
        f"{name}_pool_reduce": (1, 1, channels, block.pool),
    }


def kernel_shapes() -> dict[str, tuple[int, ...]]:
    """The HWIO shape of every convolution's kernel, by its layer's name, in the order of the layers."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 3
    for name, (size, width) in STEM.items():
        shapes[name] = (size, size, channels, width)
        channels = width
    for name, block in BLOCKS.items():
        shapes |= _block_shapes(name, channels, block)
        channels = block.channels
    return shapes


def classifier_shape() -> tuple[int, int]:
    """The shape of softmax2_w: channels of the last block, classes."""
    return BLOCKS["mixed4a"].channels, len(LABELS)


def _plain(name: str, x: tf.Tensor) -> tf.Tensor:
    """No normalization."""
    return x


def _conv(x: tf.Tensor, name: str, weights: Weights, normalize: Normalize, *, stride: int = 1) -> tf.Tensor:
    """Convolution, bias and rectifier, as the nodes of one layer."""
    kernel, bias = (_constant(weights[f"{name}_{part}"], f"{name}_{part}") for part in "wb")
    x = tf.nn.conv2d(x, kernel, stride, "SAME", name=f"{name}_pre_bias/conv")
    x = tf.nn.bias_add(normalize(name, x), bias, name=f"{name}_pre_relu")
    return tf.nn.relu(x, name=name)


def _constant(value: tf.Tensor | np.ndarray, name: str) -> tf.Tensor:
    """A named constant for an array, or the tensor itself while training."""
    return value if tf.is_tensor(value) else tf.constant(value, name=name)


def _pool(x: tf.Tensor, stride: int, name: str) -> tf.Tensor:
    """The maximum over 3x3 pixels."""
    return tf.nn.max_pool2d(x, 3, stride, "SAME", name=name)


def _mixed(x: tf.Tensor, name: str, weights: Weights, normalize: Normalize) -> tf.Tensor:
    """A mixed block: four branches side by side, concatenated."""
    one = _conv(x, f"{name}_1x1", weights, normalize)
    three = _conv(x, f"{name}_3x3_bottleneck", weights, normalize)
    three = _conv(three, f"{name}_3x3", weights, normalize)
    five = _conv(x, f"{name}_5x5_bottleneck", weights, normalize)
    five = _conv(five, f"{name}_5x5", weights, normalize)
    pool = _conv(_pool(x, 1, f"{name}_pool"), f"{name}_pool_reduce", weights, normalize)
    return tf.concat([one, three, five, pool], axis=-1, name=name)


def forward(image: tf.Tensor, weights: Weights, normalize: Normalize = _plain) -> tuple[tf.Tensor, tf.Tensor]:
    """The logits, softmax2_pre_activation, and the probabilities, softmax2, each [N, classes].

    image is [N, h, w, 3] in RGB, 0 to 255; weights has X_w and X_b for every layer X and for softmax2.
    """
    x = tf.subtract(image, _constant(np.full(3, MEAN, np.float32), "mean_rgb"), name="input_centered")
    x = _conv(x, "conv2d0", weights, normalize, stride=2)
    x = _pool(x, 2, "maxpool0")
    x = tf.nn.local_response_normalization(x, **_LRN, name="localresponsenorm0")
    x = _conv(x, "conv2d1", weights, normalize)
    x = _conv(x, "conv2d2", weights, normalize)
    x = tf.nn.local_response_normalization(x, **_LRN, name="localresponsenorm1")
    x = _pool(x, 2, "maxpool1")
    x = _mixed(x, "mixed3a", weights, normalize)
    x = _mixed(x, "mixed3b", weights, normalize)
    x = _pool(x, 2, "maxpool4")
    x = _mixed(x, "mixed4a", weights, normalize)
    return _classified(x, weights)


def _classified(x: tf.Tensor, weights: Weights) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits and probabilities from the last block's mean over the positions."""
    x = tf.reduce_mean(x, [1, 2], name="avgpool0")
    matrix, bias = (_constant(weights[f"softmax2_{part}"], f"softmax2_{part}") for part in "wb")
    logits = tf.nn.bias_add(tf.matmul(x, matrix, name="MatMul"), bias, name="softmax2_pre_activation")
    return logits, tf.nn.softmax(logits, name="softmax2")
