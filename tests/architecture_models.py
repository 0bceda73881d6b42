"""Keras models of drawn architectures: as they are, and as what their linear copies should be.

The same description is built several times. `REAL` is what a user would save, nested models and all; `FLAT`
the same function with every tensor on the way to be asked for; `LINEAR` its copy with the identity for
activations, averages for largest values, and gates, statistics and attention held at given values; `SUPPORT`
that with positive weights, so that no gradient vanishes by chance. Nothing here knows the product.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from architecture_layers import (
    FLAT,
    LINEAR,
    LINEARIZED,
    REAL,
    SUPPORT,
    Array,
    Linear,
    Weights,
    activation_of,
    positive,
)
from architectures import Architecture, Step
from atlas.model.graph.backend import tf

keras, layers = tf.keras, tf.keras.layers
# Black and white of what an entry reads; the numbers are ImageNet's, for 0 to 255.
RANGES = {"": (0.0, 1.0), "rescaling": (0.0, 255.0), "centred": (0.0, 255.0), "normalization": (0.0, 255.0)}
EPSILON = 1e-3


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
    """Let Keras's layers be of a type of numbers for a while."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(name)
    keras.config.set_floatx(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


class Built(Linear):
    """A Keras model of an architecture."""

    def __init__(
        self,
        architecture: Architecture,
        mode: str,
        *,
        size: tuple[int, int] | None = None,
        weights: Weights | None = None,
        held: Mapping[str, Array] | None = None,
    ) -> None:
        """Build for images of `size` (h, w), with weights by layer and held factors by name."""
        super().__init__(mode, weights, held)
        # What is not zero is to be told from what is a rounding error.
        with _precision("float64" if mode == SUPPORT else "float32"):
            self._build(architecture, size)

    def _build(self, architecture: Architecture, size: tuple[int, int] | None) -> None:
        entry = layers.Input((*(size or architecture.shape[:2]), architecture.shape[2]), name="image")
        x = self._entry(entry, architecture.entry)
        for step in architecture.steps:
            x = self._step(x, step)
        self.entry, self.output = entry, x
        self.model = keras.Model(entry, x, name="drawn")

    # What is not linear.

    def _activate(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        return self._active(x, name, s["activation"])

    def _active(self, x: Any, name: str, kind: str) -> Any:
        if not kind or self.mode in LINEARIZED:
            return self._record(name, x)
        makers = {
            "prelu": lambda: layers.PReLU(shared_axes=[1, 2], name=name),
            "threshold": lambda: layers.ReLU(threshold=0.1, name=name),
            "capped": lambda: layers.ReLU(max_value=2.0, name=name),
            "sloped": lambda: layers.ReLU(max_value=3.0, negative_slope=0.1, name=name),
        }
        make = makers.get(kind, lambda: layers.Activation(activation_of(kind), name=name))
        return self._use(name, make, x)

    def _gate(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        if s["how"] in ("channels", "both"):
            x = self._gated(x, f"{name}_c", s["squash"], positions=False)
        if s["how"] in ("positions", "both"):
            x = self._gated(x, f"{name}_p", s["squash"], positions=True)
        return x

    def _gated(self, x: Any, name: str, squash: str, *, positions: bool) -> Any:
        """Return a map times a factor: one for each channel of the whole image, or one for each position."""
        if self.mode == SUPPORT and not positions:
            return self._record(name, x)
        use = self._next_use(name)
        if self.mode == LINEAR:
            return self._record(name, x * self.held[use])
        channels = x.shape[-1]
        if positions:
            gate = self._use(
                f"{name}_conv", lambda: layers.Conv2D(1, 3, padding="same", name=f"{name}_conv"), x
            )
        else:
            mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")
            gate = self.layers.setdefault(f"{name}_mean", mean)(x)
            inner = f"{name}_squeeze"
            gate = self._use(inner, lambda: layers.Conv2D(2, 1, activation="relu", name=inner), gate)
            gate = self._use(
                f"{name}_excite", lambda: layers.Conv2D(channels, 1, name=f"{name}_excite"), gate
            )
        if self.mode == SUPPORT:  # a position sees what its factor sees
            return self._record(name, x + gate)
        squashed = self.layers.setdefault(f"{name}_gate", layers.Activation(squash, name=f"{name}_gate"))
        gate = self.factors[use] = squashed(gate)
        return self._use(name, lambda: layers.Multiply(name=name), [x, gate])

    def _norm(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        how, channels = s["how"], x.shape[-1]
        groups = s["groups"] if how == "group" else channels
        makers = {
            "batch": lambda: layers.BatchNormalization(name=name),
            "layer": lambda: layers.LayerNormalization(epsilon=EPSILON, name=name),
            "unit": lambda: layers.UnitNormalization(name=name),
        }
        make = makers.get(how, lambda: layers.GroupNormalization(groups, epsilon=EPSILON, name=name))
        if how == "batch" or self.mode not in LINEARIZED:
            if how != "batch" and self.mode == FLAT:
                self.factors[self._next_use(name)] = _factor(x, how, groups)
            return self._use(name, make, x)
        if self.mode == SUPPORT:
            return self._record(name, x)
        centred = x - keras.ops.mean(x, axis=-1, keepdims=True) if how == "layer" else x
        scale = 1.0 if how == "unit" else self.weights[name][0]  # type: ignore[index]
        return self._record(name, centred * (self.held[self._next_use(name)] * scale))

    def _attention(self, x: Any, name: str, s: dict[str, Any], _: Step) -> Any:
        h, w, c = x.shape[1:]
        tokens = keras.ops.reshape(x, (-1, h * w, c))
        linear = self.mode in LINEARIZED
        attended = self._attended(tokens, name) if linear else self._attend(tokens, name, s)
        joined = self._use(
            f"{name}_sum", lambda: layers.Add(name=f"{name}_sum"), [tokens, attended], listed=True
        )
        return self._record(f"{name}_map", keras.ops.reshape(joined, (-1, h, w, c)))

    def _attend(self, tokens: Any, name: str, s: dict[str, Any]) -> Any:
        mha = self.layers.setdefault(name, layers.MultiHeadAttention(s["heads"], s["width"], name=name))
        if self.mode == REAL:
            return mha(tokens, tokens)
        attended, self.factors[name] = mha(tokens, tokens, return_attention_scores=True)
        if self.weights:
            mha.set_weights(self.weights[name])
        return attended

    def _attended(self, tokens: Any, name: str) -> Any:
        """Return attention whose scores are held, [heads, target, source]."""
        weights = self.weights[name] if self.weights else []
        kernels = {w.ndim * 10 + i: w for i, w in enumerate(weights)}
        value, out = kernels[34], kernels[36]
        scores = self.held[name]
        if self.mode == SUPPORT:
            value, out, scores = positive(value), positive(out), np.ones_like(scores)
        values = keras.ops.einsum("btc,chd->bthd", tokens, value)
        mixed = keras.ops.einsum("hts,bshd->bthd", scores, values)
        return keras.ops.einsum("bthd,hdc->btc", mixed, out)

    # Parts that hold others.

    def _shared(self, x: Any, name: str, s: dict[str, Any], step: Step) -> Any:
        for _ in range(s["times"]):
            x = self._chain(x, step.branches[0])
        return x

    def _nested(self, x: Any, name: str, s: dict[str, Any], step: Step) -> Any:
        if self.mode == REAL:
            entry = layers.Input(x.shape[1:])
            inner = keras.Model(entry, self._chain(entry, step.branches[0]), name=name)
        for _ in range(s["times"]):
            x = inner(x) if self.mode == REAL else self._chain(x, step.branches[0])
        return x

    def _merge(self, x: Any, name: str, s: dict[str, Any], step: Step) -> Any:
        kinds = {"add": layers.Add, "average": layers.Average, "concat": layers.Concatenate}
        parts = [self._chain(x, branch) for branch in step.branches]
        x = self._use(name, lambda: kinds[s["how"]](name=name), parts, listed=s["how"] != "average")
        return self._active(x, f"{name}_act", s["activation"])


def _factor(x: Any, how: str, groups: int) -> Any:
    """Return what a norm scales each channel by, without its learned scale."""
    ops = keras.ops
    if how == "unit":
        return ops.rsqrt(ops.sum(ops.square(x), -1, keepdims=True) + 1e-24)
    if how == "layer":
        return ops.rsqrt(ops.var(x, axis=-1, keepdims=True) + EPSILON)
    h, w, c = x.shape[1:]
    spread = ops.var(ops.reshape(x, (-1, h * w, groups, c // groups)), axis=(1, 3))
    return ops.reshape(ops.repeat(ops.rsqrt(spread + EPSILON), c // groups, axis=-1), (-1, 1, 1, c))
