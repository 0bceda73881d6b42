"""Gradients that replace TensorFlow's own; graph nodes refer to them by registered names.

If a ReLU blocks the whole gradient of an image, the redirected gradient passes the entries that push the
input back to the slope. It is for the first steps only (Lucid: misc.redirected_relu_grad). A ReLU with a
threshold is a choice between its input and zero, and is redirected in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from atlas.featurevis import kernels
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1


_redirect: ContextVar[bool] = ContextVar("redirect", default=False)
PREFIX = "Atlas"


@contextmanager
def redirected(on: bool) -> Iterator[None]:
    """Build the gradients of ReLUs redirected or plain, for the `tf.gradients` calls inside."""
    token = _redirect.set(on)
    try:
        yield
    finally:
        _redirect.reset(token)


def name_for(op: str) -> str | None:
    """Return the registered name of this module's gradient of an op, None if there is none."""
    return PREFIX + op if op in GRADIENTS else None


def _relu(op: Any, grad: Any) -> Any:
    plain = tf.raw_ops.ReluGrad(gradients=grad, features=op.outputs[0])
    if not _redirect.get():
        return plain
    return _unblocked(plain, grad, (op.inputs[0] < 0) & (grad > 0))


def _relu6(op: Any, grad: Any) -> Any:
    plain = tf.raw_ops.Relu6Grad(gradients=grad, features=op.outputs[0])
    if not _redirect.get():
        return plain
    value = op.inputs[0]
    return _unblocked(plain, grad, ((value < 0) & (grad > 0)) | ((value > 6) & (grad < 0)))


def _select(op: Any, grad: Any) -> tuple[Any, ...]:
    """Return the gradient of a choice between two tensors; for a threshold, one of them is a constant."""
    condition, *choices = op.inputs
    zeros = tf.zeros_like(grad)
    passed = [tf.where_v2(condition, grad, zeros), tf.where_v2(condition, zeros, grad)]
    if _redirect.get():
        fixed = [tf.get_static_value(choice) is not None for choice in choices]
        nowhere = tf.zeros_like(grad, tf.bool)
        passed = [
            _unblocked(part, grad, nowhere) if other else part
            for part, other in zip(passed, reversed(fixed), strict=True)
        ]
    return None, *(_narrowed(part, choice) for part, choice in zip(passed, choices, strict=True))


def _narrowed(grad: Any, tensor: Any) -> Any:
    """Return a gradient summed over the axes along which a tensor was broadcast."""
    if grad.shape.is_fully_defined() and grad.shape == tensor.shape:
        return grad
    axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(grad), s1=tf.shape(tensor)).r1
    return tf.reshape(tf.reduce_sum(grad, axes), tf.shape(tensor))


def _unblocked(plain: Any, grad: Any, away: Any) -> Any:
    """Return `plain`, or `grad` except at `away` for the batch entries where all of `plain` is zero."""
    axes = list(range(1, grad.shape.rank or 4))
    lost = tf.reduce_all(tf.equal(plain, 0), axes, keepdims=True)
    kept = tf.where_v2(away, tf.zeros_like(grad), grad)
    return tf.where_v2(lost, kept, plain)


def _convolution(op: Any, grad: Any) -> tuple[Any, None]:
    images, kernel = op.inputs
    strides = list(op.get_attr("strides"))
    if _by_phases(op, strides):
        fixed = tf.get_static_value(kernel)
        return kernels.input_gradient(grad, fixed, stride=strides[1], shape=images.shape), None
    towards = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(images),
        filter=kernel,
        out_backprop=grad,
        strides=strides,
        padding=op.get_attr("padding"),
        explicit_paddings=op.get_attr("explicit_paddings"),
        data_format=op.get_attr("data_format"),
        dilations=op.get_attr("dilations"),
    )
    return towards, None


def _by_phases(op: Any, strides: list[int]) -> bool:
    """Return whether `kernels.input_gradient` can and should compute a convolution's gradient."""
    images, kernel = op.inputs
    square = kernel.shape[0] == kernel.shape[1] and strides[1] == strides[2]
    plain = op.get_attr("padding") == b"VALID" and set(op.get_attr("dilations")) == {1}
    # A grouped convolution's kernel has the channels of one group.
    few = strides[1] > 1 and kernel.shape[2] == images.shape[-1] <= kernels.FEW_CHANNELS
    static = images.shape[1:].is_fully_defined() and tf.get_static_value(kernel) is not None
    return bool(square and plain and few and static and op.get_attr("data_format") == b"NHWC")


def _depthwise(op: Any, grad: Any) -> tuple[Any, None]:
    """Return the gradient; TensorFlow's own silently ignores the dilation of a kernel."""
    images, kernel = op.inputs
    dilations, by_height = list(op.get_attr("dilations")), op.get_attr("data_format") == b"NHWC"
    towards = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(images),
        filter=kernels.spread(kernel, *(dilations[1:3] if by_height else dilations[2:])),
        out_backprop=grad,
        strides=op.get_attr("strides"),
        padding=op.get_attr("padding"),
        explicit_paddings=op.get_attr("explicit_paddings"),
        data_format=op.get_attr("data_format"),
    )
    return towards, None


GRADIENTS = {
    "Relu": _relu,
    "Relu6": _relu6,
    "SelectV2": _select,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
}
for _op, _gradient in GRADIENTS.items():
    tf.RegisterGradient(PREFIX + _op)(_gradient)
