"""The transpose of each linear op: from weights on what it makes to weights on what it reads.

Weights are float32 [batch, h, w, channel], or [batch, channel] where a tensor has no positions; the
batch runs over target neurons. An extent is the (h, w) of the op's input: a window of it, on which
padding is "VALID", or the whole map, with the node's own padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import LinearizeError
from atlas.model.backend import tf
from atlas.model.graph import PASSES, GraphView, node_of
from atlas.records import Floats

Shape = tuple[int | None, ...]


class Pullback:
    """Transposes of the ops of a linear twin; `shapes` are static shapes at the network's own size."""

    def __init__(
        self, view: GraphView, shapes: dict[str, Shape], *, whole: bool, absolute: bool = False
    ) -> None:
        """`whole` pulls back over whole maps, with their borders, instead of over inner windows.

        `absolute` takes every constant's absolute value, and lets differences and negations add.
        """
        self._view, self._shapes, self._whole, self._absolute = view, shapes, whole, absolute

    def __call__(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int] | None) -> Floats:
        """Return the weights on `tensor`, an input of node `name`, from those on its output."""
        op = self._view.op(name)
        if op in PASSES:
            return grad
        rule = _RULES.get(op)
        if rule is None:
            raise LinearizeError(f"{name}: the op {op} has no transpose here")
        return rule(self, name, grad, tensor, extent)

    def _padding(self, name: str) -> dict[str, Any]:
        attr = self._view.nodes[name].attr
        if not self._whole:
            return {"padding": "VALID"}
        explicit = list(attr["explicit_paddings"].list.i) if "explicit_paddings" in attr else []
        return {
            "padding": attr["padding"].s.decode(),
            **({"explicit_paddings": explicit} if explicit else {}),
        }

    def _strides(self, name: str) -> list[int]:
        return list(self._view.nodes[name].attr["strides"].list.i)

    def _kernel(self, name: str) -> Floats:
        kernel = self._view.constant(self._view.inputs(name)[1])
        assert kernel is not None, f"{name}: the linear twin holds kernels as constants"
        dilations = self._view.nodes[name].attr["dilations"].list.i or [1, 1, 1, 1]
        return _dilated(self._taken(kernel), int(dilations[1]), int(dilations[2]))

    def _taken(self, constant: NDArray[Any]) -> Floats:
        values = constant.astype(np.float32)
        return np.abs(values) if self._absolute else values

    def _conv(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int]) -> Floats:
        kernel = self._kernel(name)
        n_channels = self._channels(tensor)
        if kernel.shape[2] != n_channels:
            kernel = _ungrouped(kernel, n_channels)
        sizes = [len(grad), *extent, n_channels]
        pulled = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes,
            filter=kernel,
            out_backprop=grad,
            strides=self._strides(name),
            **self._padding(name),
        )
        return np.asarray(pulled)

    def _depthwise(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int]) -> Floats:
        pulled = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=[len(grad), *extent, self._channels(tensor)],
            filter=self._kernel(name),
            out_backprop=grad,
            strides=self._strides(name),
            **self._padding(name),
        )
        return np.asarray(pulled)

    def _pool(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int]) -> Floats:
        pulled = tf.raw_ops.AvgPoolGrad(
            orig_input_shape=[len(grad), *extent, grad.shape[-1]],
            grad=grad,
            ksize=list(self._view.nodes[name].attr["ksize"].list.i),
            strides=self._strides(name),
            **self._padding(name),
        )
        return np.asarray(pulled)

    def _concat(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        *parts, axis = self._view.inputs(name)
        if int(np.asarray(self._view.constant(axis))) not in (-1, grad.ndim - 1):
            raise LinearizeError(f"{name}: the concatenation is not along channels")
        starts = np.cumsum([0, *map(self._channels, parts)])
        # A tensor may stand in a concatenation twice.
        pieces = [grad[..., starts[i] : starts[i + 1]] for i, part in enumerate(parts) if part == tensor]
        return np.asarray(sum(pieces[1:], pieces[0]))

    def _product(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        left, right = self._view.inputs(name)
        factor = self._view.constant(right if tensor == left else left)
        assert factor is not None, f"{name}: the linear twin holds factors as constants"
        if not self._whole and factor.ndim > 2 and factor.shape[-3:-1] != (1, 1):
            raise LinearizeError(f"{name} multiplies by a constant that differs from position to position")
        by = self._taken(factor)
        return np.asarray(grad / by if self._view.op(name) == "RealDiv" else grad * by, np.float32)

    def _difference(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        left, right = self._view.inputs(name)
        taken_off = int(tensor == right)
        return grad * np.float32((tensor == left) + (taken_off if self._absolute else -taken_off))

    def _sum(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        return grad * np.float32(self._view.inputs(name).count(tensor))

    def _negative(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        return grad if self._absolute else -grad

    def _reverse(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        axes = np.atleast_1d(np.asarray(self._view.constant(self._view.inputs(name)[1]))) % grad.ndim
        if axes.tolist() != [grad.ndim - 1]:
            raise LinearizeError(f"{name} reverses the axes {axes.tolist()}", expected="channels alone")
        return np.ascontiguousarray(grad[..., ::-1])

    def _pad(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int]) -> Floats:
        paddings = np.asarray(self._view.constant(self._view.inputs(name)[1]))
        first, n_channels = int(paddings[3][0]), self._channels(tensor)
        grad = grad[..., first : first + n_channels]
        if not self._whole:
            return grad
        top, left = int(paddings[1][0]), int(paddings[2][0])
        return grad[:, top : top + extent[0], left : left + extent[1]]

    def _reduce(self, name: str, grad: Floats, tensor: str, extent: tuple[int, int]) -> Floats:
        axes = np.atleast_1d(np.asarray(self._view.constant(self._view.inputs(name)[1]))) % 4
        if sorted(axes.tolist()) != [1, 2]:
            raise LinearizeError(
                f"{name} reduces the axes {axes.tolist()}", expected="the positions, 1 and 2"
            )
        share = 1 / (extent[0] * extent[1]) if self._view.op(name) == "Mean" else 1
        pulled = grad.reshape(len(grad), 1, 1, -1) * np.float32(share)
        return np.ascontiguousarray(np.broadcast_to(pulled, (len(grad), *extent, pulled.shape[-1])))

    def _reshape(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        shape = self._shapes[node_of(tensor)][1:]
        return grad.reshape(len(grad), *(int(n or 0) for n in shape))

    def _matmul(self, name: str, grad: Floats, tensor: str, extent: object) -> Floats:
        attr = self._view.nodes[name].attr
        matrix = self._view.constant(self._view.inputs(name)[1])
        assert matrix is not None, f"{name}: the linear twin holds matrices as constants"
        turned = matrix if attr["transpose_b"].b else matrix.T
        return np.asarray(grad @ self._taken(turned))

    def _channels(self, tensor: str) -> int:
        return channels_of(self._view, self._shapes, tensor)


def channels_of(view: GraphView, shapes: dict[str, Shape], tensor: str) -> int:
    """Return the number of channels of a tensor."""
    name, _, output = tensor.partition(":")
    op, shape = view.op(name), shapes[name]
    if op == "SplitV":
        return int(np.asarray(view.constant(view.inputs(name)[1]))[int(output or 0)])
    return int(shape[-1] or 0)


def _dilated(kernel: Floats, h: int, w: int) -> Floats:
    if (h, w) == (1, 1):
        return kernel
    spread = np.zeros(((kernel.shape[0] - 1) * h + 1, (kernel.shape[1] - 1) * w + 1, *kernel.shape[2:]), "f4")
    spread[::h, ::w] = kernel
    return spread


def _ungrouped(kernel: Floats, n_channels: int) -> Floats:
    """Return the full kernel of a grouped convolution, zero between groups."""
    n_groups = n_channels // kernel.shape[2]
    full = np.zeros((*kernel.shape[:2], n_channels, kernel.shape[3]), np.float32)
    rows, columns = kernel.shape[2], kernel.shape[3] // n_groups
    for g in range(n_groups):
        part = np.s_[g * columns : (g + 1) * columns]
        full[:, :, g * rows : (g + 1) * rows, part] = kernel[..., part]
    return full


_Rule = Callable[[Pullback, str, Floats, str, Any], NDArray[np.float32]]
_RULES: dict[str, _Rule] = {
    "Conv2D": Pullback._conv,
    "DepthwiseConv2dNative": Pullback._depthwise,
    "AvgPool": Pullback._pool,
    "ConcatV2": Pullback._concat,
    "Mul": Pullback._product,
    "RealDiv": Pullback._product,
    "Sub": Pullback._difference,
    "Add": Pullback._sum,
    "AddV2": Pullback._sum,
    "AddN": Pullback._sum,
    "Neg": Pullback._negative,
    "Split": Pullback._sum,
    "SplitV": Pullback._sum,
    "ReverseV2": Pullback._reverse,
    "Pad": Pullback._pad,
    "PadV2": Pullback._pad,
    "MirrorPad": Pullback._pad,
    "Mean": Pullback._reduce,
    "Sum": Pullback._reduce,
    "Reshape": Pullback._reshape,
    "Squeeze": Pullback._reshape,
    "ExpandDims": Pullback._reshape,
    "MatMul": Pullback._matmul,
}
