"""The optimization of a batch of images: from spectra to objectives, and the steps that raise them.

1. Start each image x at the noise of its own seed, as a spectrum z in decorrelated colours.
2. Draw it: x = sigmoid(colours(inverse FFT of z, scaled by one over the frequency)).
3. Transform it by pad, jitter, scale, rotation and jitter, the same for all images of a step, and cut out the
   pixels that the objective depends on.
4. Run the network on these; the objective is its value at the centre position or the mean over all positions,
   of one channel or along one direction.
5. Follow the gradient of the sum of objectives by Adam on z. In the first steps the gradient passes a closed
   ReLU, so that a neuron that is silent at the start can become active.
6. After the last step, x without transforms is the image, and the network's value for it is the activation.

    z [2, n, channel, h, f]   real and imaginary part of the real FFT of n images; Adam's two means as well
    x [n, h, w, channel]      images in [0, 1]
    values, objectives [n]    float32

Source: Olah et al., https://distill.pub/2017/feature-visualization/; Mordvintsev et al.,
https://distill.pub/2018/differentiable-parameterizations/; Lucid's `optvis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import LayerError
from atlas.core.records import Floats
from atlas.featurevis import crops, fitting, gradients, parametrization, replay, transforms
from atlas.featurevis.fitting import Crop
from atlas.featurevis.objective import Objective, response
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.transforms import Frame
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network

tf = tensorflow.compat.v1
Flags = NDArray[np.bool_]

# Adam's epsilon in TensorFlow and Lucid.
EPSILON = 1e-8
# Avoids a division by zero, so that a gradient of zero stays zero.
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame with its part of the graph."""

    frame: Frame
    """Pixels of the image that a step samples."""
    crop: Crop
    """Part of the network that the objective needs."""
    value: Any
    """Tensor of the objectives, [n]."""
    plain: Any
    """Op that takes a step along the plain gradient."""
    redirected: Any
    """Op that takes a step along the gradient with redirected ReLUs."""


class Optimizer:
    """The variables, steps and results of a fixed number of images with one objective.

    Each session on the graph has its own variables, so one optimizer serves several sessions at a time.
    `targets` [n, …] holds the value of each image for the objective's placeholder.
    """

    def __init__(
        self, network: Network, objective: Objective, *, recipe: Recipe, frames: Sequence[Frame], batch: int
    ) -> None:
        """Build into the current default graph, one scene for each frame that needs its own."""
        self.network, self.recipe, self.objective, self.batch = network, recipe, objective, batch
        self._shape = parametrization.spectrum_shape(recipe.drawn, network.input_shape[2])
        two, *rest = self._shape
        self._spectrum, self._mean, self._square = (_variable([two, batch, *rest]) for _ in range(3))
        self._start = tf.placeholder(tf.float32, [two, batch, *rest])
        self._targets = objective.placeholder(batch)
        self._moving = tf.placeholder(tf.float32, [batch])
        self._rates = tf.placeholder(tf.float32, [3])
        self._indices = tf.placeholder(tf.int64, [None, 2])
        self._values = tf.placeholder(tf.float32, [None])
        image = parametrization.image_of(self._spectrum, recipe.drawn)
        self._image = parametrization.held(image, recipe.fixed)
        self.scenes = self._scenes(frames)
        self._images = tf.transpose(self._image, [0, 2, 3, 1])
        crop = self._crop(recipe.drawn)
        # The activation shown with an image is that of the whole network in float32.
        self._activation = self._values_of(crop, crop.cut(self._images), precision="float32")
        # Adam's mean of squares is zero if no step had a gradient; then the image is still its first noise.
        self._moved = tf.reduce_any(tf.not_equal(self._square, 0), [0, 2, 3, 4])
        self._begin = self._reset()

    def begin(self, session: Any, seeds: Sequence[int]) -> None:
        """Start a batch, each image at the noise of its own seed."""
        noise = parametrization.start(self._shape, seed=self.recipe.seed, neurons=seeds)
        replay.fill(session)
        session.run(self._begin, {self._start: noise})

    def step(self, session: Any, step: int, targets: Any, moving: Any = None) -> Floats:
        """Take step number `step` and return the objectives before it, [n].

        `moving` [n] is 0 for images that stay as they are, 1 for the others.
        """
        preset = self.recipe.preset
        transform = transforms.draw(seed=self.recipe.seed, step=step)
        scene = next(scene for scene in self.scenes if transform.scale in scene.frame.scales)
        indices, values = transforms.resampling(scene.frame, transform)
        feed = {
            self._indices: indices,
            self._values: values,
            self._rates: [
                preset.rate(step),
                preset.beta1 ** (step + 1),
                preset.beta2 ** (step + 1),
            ],
            self._targets: targets,
            self._moving: np.ones(self.batch, np.float32) if moving is None else moving,
        }
        apply = scene.redirected if step <= preset.redirect_steps else scene.plain
        value, _ = session.run([scene.value, apply], feed)
        return np.asarray(value)

    def finish(self, session: Any, targets: Any) -> tuple[Floats, Floats, Flags]:
        """Return the images [n, h, w, channel] in [0, 1], their activations [n], whether they moved [n].

        The activations are those of the untransformed images.
        """
        wanted = [self._images, self._activation, self._moved]
        images, activation, moved = session.run(wanted, {self._targets: targets})
        return np.asarray(images), np.asarray(activation), np.asarray(moved)

    def _scenes(self, frames: Sequence[Frame]) -> tuple[Scene, ...]:
        """Build a scene for each frame; frames whose crops do the same work share one's graph."""
        scenes: list[Scene] = []
        for frame in frames:
            crop = self._crop(frame.net)
            # If the graph accepts only another size, the middles of the two inputs coincide.
            anchored = frame.anchored and crop.net == frame.net
            crop_frame = replace(frame, net=crop.net, origin=crop.origin, view=crop.view, anchored=anchored)
            twin = next((s for s in scenes if s.crop.same_work(crop)), None)
            scenes.append(replace(twin, frame=crop_frame) if twin else self._scene(crop_frame, crop))
        return tuple(scenes)

    def _scene(self, frame: Frame, crop: Crop) -> Scene:
        view = transforms.transformed(self._image, frame, indices=self._indices, values=self._values)
        value = self._values_of(crop, view, precision=self.recipe.precision)
        plain, redirected = (self._step(value, redirect=redirect) for redirect in (False, True))
        return Scene(frame, crop, value, plain, redirected)

    def _crop(self, net: tuple[int, int]) -> Crop:
        cut = crops.of_centre if self.recipe.centre_only else fitting.whole
        return cut(self.network, self.objective.tensor, net)

    def _values_of(self, crop: Crop, images: Any, *, precision: str) -> Any:
        tensor = replay.replay(self.network, crop, images, precision=precision)
        values = response(tensor, centre_only=self.recipe.centre_only)
        return self.objective.values(values, self._targets)

    def _step(self, value: Any, *, redirect: bool) -> Any:
        loss = tf.reduce_sum(-value if self.recipe.positive else value)
        with gradients.redirected(redirect):
            (grad,) = tf.gradients(loss, [self._spectrum])
        if grad is None:
            raise LayerError(
                f"feature visualization of {self.objective.tensor.partition(':')[0]}",
                found="no gradient from there to the image",
                remedy="an op in between, like a rounding or a comparison, has none",
            )
        preset, rates = self.recipe.preset, self._rates
        if preset.even:
            grad = _evened(grad)
        grad *= self._moving[None, :, None, None, None]
        return tf.raw_ops.ResourceApplyAdam(
            var=self._spectrum.handle,
            m=self._mean.handle,
            v=self._square.handle,
            lr=rates[0],
            beta1_power=rates[1],
            beta2_power=rates[2],
            beta1=preset.beta1,
            beta2=preset.beta2,
            epsilon=EPSILON,
            grad=grad,
            use_nesterov=preset.nesterov,
        )

    def _reset(self) -> Any:
        zeros = tf.zeros_like(self._start)
        return tf.group(
            self._spectrum.assign(self._start), self._mean.assign(zeros), self._square.assign(zeros)
        )


def _variable(shape: Sequence[int]) -> Any:
    return tf.Variable(tf.zeros(shape), use_resource=True, trainable=False)


def _evened(grad: Any) -> Any:
    """Return a gradient [2, n, channel, h, f] with the same mean square for each of the n images."""
    square = tf.reduce_mean(grad * grad, [0, 2, 3, 4], keepdims=True)
    return grad * tf.rsqrt(square + TINY)
