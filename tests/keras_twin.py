"""The linear copy of a Keras model, made of its layers and never of a frozen graph.

Activations become the identity and largest values averages; factors that multiply a map, and the deviations
of norms, are held at their mean over images and over positions. With `positive` weights, and without norms
and factors, gradients vanish nowhere by chance: their support is the receptive field.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf

keras = tf.keras
Array = NDArray[Any]
PASSED = frozenset(
    "Activation ReLU LeakyReLU PReLU ELU Softmax Dropout SpatialDropout2D GaussianNoise".split()
)
RANDOM = ("Random", "Stochastic")
NORMS = frozenset("LayerNormalization GroupNormalization UnitNormalization".split())
# What is added to the absolute value of a weight, as a part of the largest: no gradient is too small to see.
POSITIVE = 0.05


class KerasTwin:
    """The copy of a model, its tensors by the names of the layers that yield them; later uses as name#2."""

    def __init__(self, model: Any, images: Array, *, positive: bool = False) -> None:
        """Copy a functional or sequential model; `images` [n, h, w, c] are as it reads them."""
        # A sequential model as a functional one.
        self.model = model = keras.Model(model.inputs, model.outputs)
        self.images, self.positive = images, positive
        self.named = {_scoped(layer.name): layer.name for layer in _flat(model)}
        self.tensors: dict[str, Any] = {}
        self.means = {} if positive else self._means()
        # What is not zero after a hundred layers is small: double precision.
        self.dtype = "float64" if positive else None
        entries = [keras.Input(one.shape[1:], dtype=self.dtype or one.dtype) for one in model.inputs]
        copy = keras.models.clone_model(
            model, input_tensors=entries, clone_function=self._clone, call_function=self._call
        )
        self.entry = copy.inputs
        self._copy_weights()

    def slopes(self, source: str, target: str, channels: list[int]) -> Array:
        """Return the gradient of the middle position of a layer by another's, [h, w, source, channel]."""
        end = self.tensors[target]
        shape = end.shape[1:-1]
        at = tuple(n // 2 for n in shape)
        return self._gradient(source, target, [(*at, c) for c in channels])

    def _gradient(self, source: str, target: str, places: list[tuple[int, ...]]) -> Array:
        """Return the gradient of values by a layer, or by the image, [h, w, source, place].

        A place is (y, x, channel), or (y, x) for the sum of all channels.
        """
        names = [name for name in (source, target) if name != "input"]
        model = keras.Model(self.entry, {str(i): self.tensors[name] for i, name in enumerate(names)})
        first, *others = (tf.ones((1, *entry.shape[1:]), entry.dtype) for entry in self.entry)

        @tf.function(autograph=False)
        def traced(image: Any, place: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(image)
                found = model([image, *others] if others else image, training=False)
                unit = tf.reduce_sum(tf.gather_nd(found[str(len(names) - 1)][0], place))
            start = image if source == "input" else found["0"]
            return tape.gradient(unit, start, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        slopes = [np.asarray(traced(first, tf.constant([place])))[0] for place in places]
        found = np.stack(slopes, -1)
        return found if found.ndim == 4 else found[None, None]

    def boxes(self, target: str) -> dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
        """Return for three positions about the middle the rows and the columns of the image they see.

        Each is (first, last), within the image.
        """
        h, w = self.tensors[target].shape[1:3]
        near = range(-min(1, (min(h, w) - 1) // 2), min(1, (min(h, w) - 1) // 2) + 1)
        places = [(h // 2 + d, w // 2 + d) for d in near]
        seen = np.abs(self._gradient("input", target, list(places))).max(2)
        return {
            place: (_ends(seen[..., i].max(1)), _ends(seen[..., i].max(0))) for i, place in enumerate(places)
        }

    def _clone(self, layer: Any) -> Any:
        config = layer.get_config()
        config["name"] = _scoped(layer.name)
        if self.dtype and "dtype" in config:
            config["dtype"] = self.dtype
        if config.get("activation"):
            config["activation"] = "linear"
        return type(layer).from_config(config)

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(layer).__name__
        x = args[0] if args else None
        if kind in PASSED or kind.startswith(RANDOM):
            return self._keep(layer.name, x)
        if kind == "MaxPooling2D":
            config = layer.get_config()
            how = config["pool_size"], config["strides"], config["padding"]
            return self._keep(layer.name, keras.layers.AveragePooling2D(*how, name=layer.name)(x))
        if kind == "GlobalMaxPooling2D":
            return self._keep(layer.name, keras.ops.mean(x, axis=(1, 2), keepdims=layer.keepdims))
        parts = list(x) if isinstance(x, (list, tuple)) else list(args)
        if kind == "Multiply" and all(isinstance(part, keras.KerasTensor) for part in parts):
            return self._keep(layer.name, self._multiplied(layer.name, parts))
        if kind in NORMS:
            return self._keep(layer.name, self._normed(layer.name, kind, x))
        return self._keep(layer.name, layer(*args, **kwargs))

    def _keep(self, name: str, tensor: Any) -> Any:
        name, use = self.named.get(name, name), 1
        while (key := name if use == 1 else f"{name}#{use}") in self.tensors:
            use += 1
        self.tensors[key] = tensor
        return tensor

    def _multiplied(self, name: str, parts: list[Any]) -> Any:
        """Return the larger of two parts times the mean of the other."""
        sizes = [int(np.prod(part.shape[1:-1])) for part in parts]
        at = int(np.argmin(sizes))
        if self.positive:
            return parts[1 - at]
        return _Scaled(self.means[name], centred=False, name=f"{name}_held")(parts[1 - at])

    def _normed(self, name: str, kind: str, x: Any) -> Any:
        if self.positive:
            return x
        factor = self.means[name]
        if kind != "UnitNormalization":
            gamma = self.model.get_layer(self.named[name]).gamma.numpy()
            factor = np.repeat(factor, len(gamma) // factor.shape[-1], -1) * gamma
        return _Scaled(factor, centred=kind == "LayerNormalization", name=f"{name}_held")(x)

    def _means(self) -> dict[str, Array]:
        """Return the mean of every factor over images and positions, in one pass over the images."""
        operations = {_scoped(one.name): one for one in self.model.operations}
        reads = {name: read for name, one in operations.items() if (read := _read(one)) is not None}
        if not reads:
            return {}
        model, total = keras.Model(self.model.inputs[0], reads), dict.fromkeys(reads, 0.0)
        for image in self.images:
            for name, value in model(image[None], training=False).items():
                found = _factor(operations[name], np.asarray(value, np.float64))
                total[name] += found.mean(tuple(range(found.ndim - 1)), keepdims=True) / len(self.images)
        return {name: np.asarray(mean, np.float32).reshape(1, 1, 1, -1) for name, mean in total.items()}

    def _copy_weights(self) -> None:
        """Give the copy the model's weights, layer by layer; nested models are copied with their layers."""
        copy = keras.Model(self.entry, list(self.tensors.values())[-1])
        originals = {_scoped(layer.name): layer for layer in _flat(self.model)}
        for layer in _flat(copy):
            original = originals.get(layer.name)
            if original is None or not layer.weights or len(layer.weights) != len(original.weights):
                continue
            weights = original.get_weights()
            if self.positive:
                weights = [_positive(weight) for weight in weights]
            layer.set_weights(weights)


class _Scaled(keras.layers.Layer):
    """A map times a factor, its mean over channels subtracted before where it is to be `centred`."""

    def __init__(self, factor: Array, *, centred: bool, name: str) -> None:
        super().__init__(name=name)
        self.factor, self.centred = factor, centred

    def call(self, x: Any) -> Any:
        mean = keras.ops.mean(x, axis=-1, keepdims=True) if self.centred else 0.0
        return (x - mean) * self.factor


def _read(operation: Any) -> Any:
    """Return the tensor that an operation takes its factor from, None for one that has none."""
    kind = type(operation).__name__
    if kind == "Multiply":
        parts = operation.input
        several = isinstance(parts, (list, tuple)) and len(parts) == 2
        return min(parts, key=lambda part: int(np.prod(part.shape[1:-1]))) if several else None
    return operation.input if kind in NORMS else None


def _factor(operation: Any, read: Array) -> Array:
    """Return what a value [n, …, c] is scaled by, without what is learned."""
    kind = type(operation).__name__
    if kind == "Multiply":
        return read
    if kind == "LayerNormalization":
        return np.asarray(1 / np.sqrt(read.var(-1, keepdims=True) + operation.epsilon))
    if kind == "UnitNormalization":
        return np.asarray(1 / np.sqrt(np.square(read).sum(-1, keepdims=True)))
    n, c = len(read), read.shape[-1]
    groups = c if operation.groups == -1 else operation.groups
    spread = read.reshape(n, -1, groups, c // groups).var((1, 3))
    return np.asarray(1 / np.sqrt(spread + operation.epsilon))


def _ends(seen: Array) -> tuple[int, int]:
    """Return the (first, last) of what is not zero."""
    places = np.flatnonzero(seen)
    return (int(places[0]), int(places[-1])) if places.size else (0, -1)


def _positive(weight: Array) -> Array:
    """Return a weight's absolute value, not too near to zero; a kernel's sums to 1, so that none grows."""
    size = np.abs(weight) + POSITIVE * (np.abs(weight).max() or 1)
    axes = tuple(range(weight.ndim - 1))
    return np.asarray(size / size.sum(axes, keepdims=True) if weight.ndim > 1 else size)


def _scoped(name: str) -> str:
    """Return a name that TensorFlow takes for a scope."""
    return re.sub(r"^[^A-Za-z0-9.]|[^A-Za-z0-9_.\\/>-]", "x", name)


def _flat(model: Any) -> list[Any]:
    found = []
    for layer in model.layers:
        found += _flat(layer) if hasattr(layer, "layers") else [layer]
    return found
