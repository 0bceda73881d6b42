"""Train the demo network: batch norm without a gain, Adam with weight decay, smooth first filters.

The weights here read images scaled to about -2 to 2; `TrainedNetwork.folded` moves that scale and the
normalization into plain weights for images in 0 to 255.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import network
import numpy as np
import tensorflow as tf

_log = logging.getLogger(__name__)

# Takes images and labels, changes the network, returns the loss.
Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# Added to a variance before its root is taken, in the units of the scaled image.
_EPSILON = 1e-3

# Divides the centred image; conv2d0's exported kernel holds it instead.
_IMAGE_SCALE = 64.0


@dataclass(frozen=True)
class Settings:
    """What a training run depends on, next to the code."""

    seed: int = 1
    train_drawings: int = 20_000
    held_out_drawings: int = 3_200
    epochs: int = 12
    batch: int = 64
    # Adam's, at the start; it falls to zero along a cosine.
    learning_rate: float = 4e-3
    weight_decay: float = 0.15
    # Of conv2d0's roughness in the loss, see `roughness`.
    smoothing: float = 0.04
    # Share of the old moving moments kept at a step.
    momentum: float = 0.98


def roughness(kernel: tf.Tensor) -> tf.Tensor:
    """How unsmooth filters are, a mean over them: squared steps between neighbours over squared weights.

    kernel is [h, w, channels in, channels out], taken as zero outside. White noise has about 4, a plain wave
    of wavelength L about (2 pi / L) ** 2. The scale of a filter plays no part, as batch normalization undoes
    it.
    """
    padded = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
    steps = (padded[1:] - padded[:-1], padded[:, 1:] - padded[:, :-1])
    squares = sum(tf.reduce_sum(step**2, [0, 1, 2]) for step in steps)
    return tf.reduce_mean(squares / (tf.reduce_sum(kernel**2, [0, 1, 2]) + 1e-6))


class TrainedNetwork:
    """The variables of a network in training: weights, biases and the moving moments of the normalization."""

    def __init__(self, seed: int) -> None:
        """Draw fresh weights from the seed."""
        rng = np.random.default_rng(seed)
        self.weights: dict[str, tf.Variable] = {}
        self.moments: dict[str, tuple[tf.Variable, tf.Variable]] = {}
        for name, shape in network.kernel_shapes().items():
            self._add(name, rng, shape)
            self.moments[name] = tuple(
                tf.Variable(start(shape[-1:]), trainable=False) for start in (tf.zeros, tf.ones)
            )
        self._add("softmax2", rng, network.classifier_shape())

    def _add(self, name: str, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        """Weights with the deviation that keeps a rectified signal's size (He et al. 2015); zero biases."""
        deviation = np.sqrt(2 / np.prod(shape[:-1]))
        self.weights[f"{name}_w"] = tf.Variable(
            rng.normal(0, deviation, shape).astype(np.float32), name=f"{name}_w"
        )
        self.weights[f"{name}_b"] = tf.Variable(tf.zeros(shape[-1:]), name=f"{name}_b")

    def logits(self, images: tf.Tensor, *, momentum: float | None) -> tf.Tensor:
        """Logits [N, classes] of images in 0 to 255; momentum is None outside training."""
        scaled = {name: tf.convert_to_tensor(value) for name, value in self.weights.items()}
        scaled["conv2d0_w"] /= _IMAGE_SCALE

        def normalize(name: str, x: tf.Tensor) -> tf.Tensor:
            mean, variance = self.moments[name]
            if momentum is not None:
                mean, variance = self._batch_moments(name, x, momentum)
            return (x - mean) * tf.math.rsqrt(variance + _EPSILON)

        return network.forward(images, scaled, normalize)[0]

    def _batch_moments(self, name: str, x: tf.Tensor, momentum: float) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance over the batch, which also move the moving ones."""
        moments = tf.nn.moments(x, [0, 1, 2])
        for moving, now in zip(self.moments[name], moments, strict=True):
            moving.assign(momentum * moving + (1 - momentum) * now)
        return moments

    def folded(self) -> dict[str, np.ndarray]:
        """Plain float32 weights for images in 0 to 255: `X_w` and `X_b`, all scales folded in."""
        plain = {name: value.numpy().astype(np.float64) for name, value in self.weights.items()}
        plain["conv2d0_w"] /= _IMAGE_SCALE
        for name, (mean, variance) in self.moments.items():
            gain = 1 / np.sqrt(variance.numpy().astype(np.float64) + _EPSILON)
            plain[f"{name}_w"] *= gain
            plain[f"{name}_b"] -= mean.numpy() * gain
        return {name: value.astype(np.float32) for name, value in plain.items()}


def _optimizer(settings: Settings, steps: int) -> tf.keras.optimizers.Optimizer:
    """Adam with weight decay on kernels only: decaying biases would push neurons towards being always on."""
    schedule = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    optimizer = tf.keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["_b"])
    return optimizer


def _step(trained: TrainedNetwork, optimizer: tf.keras.optimizers.Optimizer, settings: Settings) -> Step:
    """The compiled function that takes one training step and returns its loss."""
    variables = list(trained.weights.values())

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = trained.logits(tf.cast(images, tf.float32), momentum=settings.momentum)
            errors = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(errors) + settings.smoothing * roughness(trained.weights["conv2d0_w"])
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def train(images: np.ndarray, labels: np.ndarray, settings: Settings) -> TrainedNetwork:
    """A network trained on drawings, uint8 [N, h, w, 3], and their labels' numbers, int32 [N]."""
    trained = TrainedNetwork(settings.seed)
    rng = np.random.default_rng(settings.seed)
    steps = len(images) // settings.batch
    step = _step(trained, _optimizer(settings, steps * settings.epochs), settings)
    for epoch in range(settings.epochs):
        order = rng.permutation(len(images))[: steps * settings.batch].reshape(steps, settings.batch)
        losses = [float(step(images[chosen], labels[chosen])) for chosen in order]
        _log.info("epoch %d of %d: loss %.4f", epoch + 1, settings.epochs, np.mean(losses))
    return trained
