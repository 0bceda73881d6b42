"""The linear steps of drawn architectures in Keras, with weights that are known by the layers' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from architectures import Shape, Step
from atlas.model.graph.backend import tf

keras, layers = tf.keras, tf.keras.layers
Array = NDArray[Any]
Weights = Mapping[str, list[Array]]
REAL, FLAT, LINEAR, SUPPORT = "real", "flat", "linear", "support"
LINEARIZED = (LINEAR, SUPPORT)
MEAN, DEVIATION = 120.0, 58.0


class Linear:
    """The layers of a Keras model by name, and the tensors on the way.

    `tensors` are the outputs of all steps and of their parts, in order; `factors` those that a linear copy
    holds; `expected` the names of Keras layers that are layers of an atlas, once for each use.
    """

    def __init__(self, mode: str, weights: Weights | None, held: Mapping[str, Array] | None) -> None:
        """Begin without layers; weights are given by layer, held factors by name."""
        self.mode, self.weights, self.held = mode, weights, held or {}
        self.layers: dict[str, Any] = {}
        self.tensors: dict[str, Any] = {}
        self.factors: dict[str, Any] = {}
        self.expected: list[str] = []
        self.entry: Any = None

    def run(self, images: Array, names: Sequence[str]) -> list[Any]:
        """Return the tensors of these names on images, for a gradient tape too."""
        outputs = {str(i): self.tensors[name] for i, name in enumerate(names)}
        found = keras.Model(self.entry, outputs)(images, training=False)
        return [found[str(i)] for i in range(len(names))]

    def draw_weights(self, seed: int) -> dict[str, list[Array]]:
        """Give every layer weights of a healthy size, drawn by its name; return them by layer."""
        made = {}
        for name, layer in self.layers.items():
            rng = np.random.default_rng([seed, *name.encode()])
            made[name] = [_values(weight.path, weight.shape, rng) for weight in layer.weights]
            layer.set_weights(made[name])
        return made

    def _use(self, name: str, make: Callable[[], Any], *inputs: Any, listed: bool = False) -> Any:
        """Return the output of the layer of this name, which is made once, with its weights."""
        fresh = name not in self.layers
        layer = self.layers.setdefault(name, None) or make()
        self.layers[name] = layer
        out = layer(*inputs)
        if fresh and self.weights and layer.weights:
            given = self.weights[name]
            fitted = [_fitted(w, tuple(v.shape)) for w, v in zip(given, layer.weights, strict=True)]
            layer.set_weights([positive(w) for w in fitted] if self.mode == SUPPORT else fitted)
        if listed:
            self.expected.append(name)
        return self._record(name, out)

    def _record(self, name: str, tensor: Any) -> Any:
        self.tensors[self._next_use(name)] = tensor
        return tensor

    def _next_use(self, name: str) -> str:
        """Return the name of a step's tensor: of later uses name#2, name#3."""
        use = 1
        while (key := name if use == 1 else f"{name}#{use}") in self.tensors:
            use += 1
        return key

    def _entry(self, x: Any, how: str) -> Any:
        channels = x.shape[-1]
        if how == "rescaling":
            return self._use("rescaling", lambda: layers.Rescaling(1 / 255, name="rescaling"), x)
        if how == "centred":
            return self._use("rescaling", lambda: layers.Rescaling(1 / 127.5, -1, name="rescaling"), x)
        if how == "normalization":
            mean, variance = [MEAN] * channels, [DEVIATION**2] * channels

            def make() -> Any:
                return layers.Normalization(mean=mean, variance=variance, name="normalization")

            return self._use("normalization", make, x)
        return x

    def _step(self, x: Any, step: Step) -> Any:
        return getattr(self, f"_{step.kind}")(x, step.name, step.settings, step)

    def _chain(self, x: Any, steps: Sequence[Step]) -> Any:
        for step in steps:
            x = self._step(x, step)
        return x

    # Layers with kernels.

    def _kernel(self, x: Any, name: str, s: dict[str, Any], make: Callable[..., Any]) -> Any:
        """Return a layer with a kernel, its batch norm and its activation."""
        fused = activation_of(s["activation"]) if s["fused"] and not s["bn"] else None
        inside = fused if self.mode not in LINEARIZED else None
        x = self._use(name, lambda: make(activation=inside, use_bias=s["bias"], name=name), x, listed=True)
        if s["bn"]:
            x = self._use(f"{name}_bn", lambda: layers.BatchNormalization(name=f"{name}_bn"), x)
        return x if fused else self._active(x, f"{name}_act", s["activation"])

    def _conv(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        # A convolution in groups is one of a block-diagonal kernel, everywhere but in the real model.
        groups = s["groups"] if self.mode == REAL else 1
        common = {"strides": s["strides"], "padding": s["padding"], "dilation_rate": s["dilation"]}

        def make(**more: Any) -> Any:
            return layers.Conv2D(s["filters"], s["size"], groups=groups, **common, **more)

        return self._kernel(x, name, s, make)

    def _depthwise(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        common = {"strides": s["strides"], "padding": s["padding"], "dilation_rate": s["dilation"]}

        def make(**more: Any) -> Any:
            return layers.DepthwiseConv2D(s["size"], depth_multiplier=s["multiplier"], **common, **more)

        return self._kernel(x, name, s, make)

    def _separable(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        common = {"strides": s["strides"], "padding": s["padding"], "dilation_rate": s["dilation"]}

        def make(**more: Any) -> Any:
            multiplier = s["multiplier"]
            return layers.SeparableConv2D(
                s["filters"], s["size"], depth_multiplier=multiplier, **common, **more
            )

        return self._kernel(x, name, s, make)

    def _transposed(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        def make(**more: Any) -> Any:
            return layers.Conv2DTranspose(
                s["filters"], s["size"], strides=s["strides"], padding=s["padding"], **more
            )

        return self._kernel(x, name, s, make)

    def _end(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        flat = layers.Flatten if s["flat"] else layers.GlobalAveragePooling2D
        x = self._record(f"{name}_flat", flat(name=f"{name}_flat")(x))
        softmax = "softmax" if s["softmax"] and self.mode not in LINEARIZED else None
        if softmax:
            # The product takes the logits, which Keras does not show.
            logits = self._use(name, lambda: layers.Dense(s["units"], name=name), x)
            return layers.Activation(softmax, name=f"{name}_softmax")(logits)
        return self._use(name, lambda: layers.Dense(s["units"], name=name), x)

    # Positions.

    def _pool(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        largest = s["how"] == "max" and self.mode not in LINEARIZED
        kind = layers.MaxPooling2D if largest else layers.AveragePooling2D

        def make() -> Any:
            return kind(s["size"], strides=s["strides"], padding=s["padding"], name=name)

        return self._use(name, make, x)

    def _upsample(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        return self._use(name, lambda: layers.UpSampling2D(s["factor"], interpolation=s["how"], name=name), x)

    def _pad(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        return self._use(name, lambda: layers.ZeroPadding2D(s["by"], name=name), x)

    def _crop(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        return self._use(name, lambda: layers.Cropping2D(s["by"], name=name), x)

    def _focus(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        if s["how"] == "slices":
            parts = [x[:, i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
            return self._use(name, lambda: layers.Concatenate(name=name), parts)
        h, w, c = x.shape[1:]
        x = keras.ops.reshape(x, (-1, h // 2, 2, w // 2, 2, c))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return self._record(name, keras.ops.reshape(x, (-1, h // 2, w // 2, 4 * c)))

    def _shuffle(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        h, w, c = x.shape[1:]
        x = keras.ops.reshape(x, (-1, h, w, s["groups"], c // s["groups"]))
        x = keras.ops.transpose(x, (0, 1, 2, 4, 3))
        return self._record(name, keras.ops.reshape(x, (-1, h, w, c)))

    def _dropout(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        return self._use(name, lambda: layers.Dropout(0.4, name=name), x)

    def _active(self, x: Any, name: str, kind: str) -> Any:
        raise NotImplementedError


def activation_of(kind: str) -> Any:
    """Return what a Keras layer takes as its activation; None for what only a layer of its own can be."""
    if kind in ("prelu", "threshold", "capped", "sloped", ""):
        return None
    return {"leaky": "leaky_relu", "gelu_tanh": "gelu"}.get(kind, kind)


def _values(path: str, shape: Shape, rng: np.random.Generator) -> Array:
    """Return weights for a variable as what its name says it is."""
    kind = path.rpartition("/")[2]
    if kind in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if kind in ("bias", "beta", "moving_mean"):
        return rng.normal(0, 0.2, shape).astype(np.float32)
    if kind == "alpha":
        return rng.uniform(0, 0.4, shape).astype(np.float32)
    if "kernel" in kind:
        # A depthwise kernel reads one channel, a dense one all; roughly right is healthy enough.
        fan = np.prod(shape[:-2] if "depthwise" in kind else shape[:-1])
        return rng.normal(0, 1.3 / np.sqrt(max(fan, 1)), shape).astype(np.float32)
    raise ValueError(f"no weights are known for {path}")


def _fitted(weight: Array, shape: tuple[int, ...]) -> Array:
    """Return a kernel as it is, or one in groups as the block-diagonal one that it stands for."""
    if weight.shape == shape:
        return weight
    groups, per = shape[2] // weight.shape[2], shape[3] // (shape[2] // weight.shape[2])
    whole = np.zeros(shape, np.float32)
    for at in range(groups):
        source, target = (
            np.s_[at * weight.shape[2] : (at + 1) * weight.shape[2]],
            np.s_[at * per : (at + 1) * per],
        )
        whole[:, :, source, target] = weight[:, :, :, target]
    return whole


def positive(weight: Array) -> Array:
    """Return a weight's absolute value, not too near to zero; what is no connection stays none."""
    return np.where(weight == 0, 0, np.abs(weight) + 0.1 / max(weight[..., 0].size, 1)).astype(np.float32)
