"""The example network in Keras's layers, each called like the PyTorch module that its weights come from.

Keras pads at "same" as TensorFlow does, more at the end than at the beginning; PyTorch pads both sides alike.
So maps are padded by layers of their own. Kernels change from [out, in, h, w] to [h, w, in, out], of
depthwise ones from [in, 1, h, w] to [h, w, in, 1], dense weights from [out, in] to [in, out].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf

layers = tf.keras.layers
SIZE = (96, 96, 3)
# PyTorch's; Keras's own is 1e-3.
EPSILON = 1e-5


def keras_model(state: Mapping[str, NDArray[Any]]) -> Any:
    """Return the model with the weights of a state dict; it reads standardized images [n, h, w, c]."""
    image = layers.Input(SIZE, name="image")
    x = _conv_bn_relu(image, "stem", 16, 5, strides=2)
    x = layers.MaxPooling2D(3, 2, name="pool")(_padded(x, "pool", 1))
    x = _block(x, "layer1.0", 32)
    point = _conv_bn_relu(x, "mixed.point", 20, 1)
    wide = _conv_bn_relu(x, "mixed.wide", 28, 1)
    wide = _conv_bn_relu(wide, "mixed.wide", 28, 5, first=3, depthwise=True)
    x = layers.Concatenate(name="mixed")([point, wide])
    x = _block(x, "layer2.0", 64)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = tf.keras.Model(image, layers.Dense(32, name="fc")(x))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights(layer, state))
    return model


def _weights(layer: Any, state: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return a layer's weights, in Keras's order and layout."""
    names = ["weight", "bias"]
    if isinstance(layer, layers.BatchNormalization):
        names += ["running_mean", "running_var"]
    found = [state[f"{layer.name}.{name}"] for name in names if f"{layer.name}.{name}" in state]
    kernel, *others = found
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = kernel.transpose(2, 3, 0, 1)
    elif kernel.ndim == 4:
        kernel = kernel.transpose(2, 3, 1, 0)
    elif kernel.ndim == 2:
        kernel = kernel.T
    return [np.ascontiguousarray(kernel), *others]


def _padded(x: Any, name: str, around: int) -> Any:
    return layers.ZeroPadding2D(around, name=f"{name}.padded")(x) if around else x


def _conv(x: Any, name: str, width: int, size: int, *, depthwise: bool = False, **more: Any) -> Any:
    """Return a convolution with PyTorch's padding, of half its size on each side."""
    x = _padded(x, name, size // 2)
    if depthwise:
        return layers.DepthwiseConv2D(size, name=name, **more)(x)
    return layers.Conv2D(width, size, name=name, **more)(x)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=EPSILON, name=name)(x)


def _conv_bn_relu(x: Any, name: str, width: int, size: int, *, first: int = 0, **more: Any) -> Any:
    """Return a convolution, batch norm and ReLU: the modules `first` and the next two of a Sequential."""
    x = _conv(x, f"{name}.{first}", width, size, use_bias=False, **more)
    return layers.ReLU(name=f"{name}.{first + 2}")(_norm(x, f"{name}.{first + 1}"))


def _block(x: Any, name: str, width: int) -> Any:
    """Return a residual block; its second convolution is grouped."""
    inner = _norm(_conv(x, f"{name}.conv1", width, 3, strides=2, use_bias=False), f"{name}.bn1")
    inner = layers.ReLU(name=f"{name}.relu")(inner)
    inner = _norm(_conv(inner, f"{name}.conv2", width, 3, groups=4, use_bias=False), f"{name}.bn2")
    shortcut = _norm(_conv(x, f"{name}.downsample.0", width, 1, strides=2), f"{name}.downsample.1")
    return layers.ReLU(name=f"{name}.relu#2")(layers.Add(name=name)([inner, shortcut]))
