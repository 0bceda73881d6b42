"""Gradients that replace TensorFlow's own: each is registered under a name that graph nodes carry.

The redirected ReLU gradient lets a gradient through a ReLU that blocks all of it, where it pushes the
input back to the slope; for the first steps only (Lucid: misc.redirected_relu_grad).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from atlas.model.backend import tf as tensorflow

tf = tensorflow.compat.v1


_redirect: ContextVar[bool] = ContextVar("redirect", default=False)
GRADIENTS = {"Relu": "AtlasRelu", "Relu6": "AtlasRelu6"}


@contextmanager
def redirected(on: bool) -> Iterator[None]:
    """Build the gradients of ReLUs redirected or plain, for the `tf.gradients` calls inside."""
    token = _redirect.set(on)
    try:
        yield
    finally:
        _redirect.reset(token)


def mark(node: Any) -> None:
    """Make a GraphDef node use this module's gradient, where there is one for its op."""
    if node.op in GRADIENTS:
        node.attr["_gradient_op_type"].s = GRADIENTS[node.op].encode()


@tf.RegisterGradient("AtlasRelu")
def _relu(op: Any, grad: Any) -> Any:
    plain = tf.raw_ops.ReluGrad(gradients=grad, features=op.outputs[0])
    if not _redirect.get():
        return plain
    return _unblocked(plain, grad, (op.inputs[0] < 0) & (grad > 0))


@tf.RegisterGradient("AtlasRelu6")
def _relu6(op: Any, grad: Any) -> Any:
    plain = tf.raw_ops.Relu6Grad(gradients=grad, features=op.outputs[0])
    if not _redirect.get():
        return plain
    value = op.inputs[0]
    return _unblocked(plain, grad, ((value < 0) & (grad > 0)) | ((value > 6) & (grad < 0)))


def _unblocked(plain: Any, grad: Any, away: Any) -> Any:
    """Return `plain`, or where an entry of the batch lost all of it, `grad` without what leads away."""
    axes = list(range(1, grad.shape.rank or 4))
    lost = tf.reduce_all(tf.equal(plain, 0), axes, keepdims=True)
    kept = tf.where_v2(away, tf.zeros_like(grad), grad)
    return tf.where_v2(lost, kept, plain)
