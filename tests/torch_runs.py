"""A PyTorch program computed node by node: as it is, made linear, and with positive weights.

Activations become the identity and largest values averages; factors that multiply a map, and the deviations
of norms, are held at their mean over images and over positions. With positive weights norms and factors are
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from torch_twin import torch

F = torch.nn.functional
# What is added to the absolute value of a weight, as a part of the largest: no gradient is too small to see.
POSITIVE = 0.05
PASSED = frozenset(
    """relu relu6 hardtanh silu gelu hardswish hardsigmoid sigmoid tanh elu leaky_relu mish clamp clamp_min
    clamp_max celu selu softplus softsign prelu dropout clone alias detach contiguous _to_copy""".split()
)
LINEAR = frozenset(
    """conv2d conv_transpose2d linear addmm _native_batch_norm_legit_no_training batch_norm avg_pool2d
    adaptive_avg_pool2d _adaptive_avg_pool2d mean sum view reshape _unsafe_view flatten unflatten squeeze
    unsqueeze permute transpose t expand cat stack split split_with_sizes chunk unbind slice select getitem
    pad constant_pad_nd upsample_bilinear2d upsample_nearest2d pixel_shuffle pixel_unshuffle channel_shuffle
    neg roll flip repeat""".split()
)
# Ops in which gates end, and those of one operand that may stand between one and its end.
SQUASHES = frozenset("sigmoid hardsigmoid tanh softmax clamp relu6 rsqrt exp".split())
POINTWISE = PASSED | frozenset("add sub rsub mul div".split())
SHAPES = frozenset("view reshape unsqueeze squeeze permute transpose expand flatten clone alias".split())
NORMS = frozenset("layer_norm group_norm".split())
# The result of an operation that has no linear form.
CURVED = object()


class Run:
    """A program that is computed node by node, as PyTorch does."""

    dtype = torch.float32

    def __init__(self, tensors: Mapping[Any, Any], moving: set[Any], values: Mapping[Any, Any]) -> None:
        """Take what depends on no image, the nodes that do, and the values of those to begin with."""
        self.tensors, self.moving, self.values = tensors, moving, dict(values)

    def through(self, nodes: Sequence[Any], keep: set[Any] | None = None) -> dict[Any, Any]:
        """Compute nodes in order; return all values, or those of `keep`, without holding the others."""
        left = {node: len(set(node.users) & set(nodes)) for node in [*self.values, *nodes]}
        for node in nodes:
            self.values[node] = self.value(node)
            for before in node.all_input_nodes if keep is not None else ():
                left[before] = left.get(before, 0) - 1
                if left[before] == 0 and before not in (keep or ()):
                    self.values.pop(before, None)
        return self.values

    def value(self, node: Any) -> Any:
        """Return the value of a node."""
        return self.call(node)

    def call(self, node: Any, *instead: Any) -> Any:
        """Return what the operation itself makes of its operands; of `instead` for the first of them."""
        given = torch.fx.node.map_arg(node.args, self.operand)
        keywords = torch.fx.node.map_arg(node.kwargs, self.operand)
        # Values are laid out in memory otherwise than in the program.
        views = ("view", "_unsafe_view")
        target = torch.ops.aten.reshape.default if name_of(node) in views else node.target
        return target(*instead, *given[len(instead) :], **keywords)

    def operand(self, node: Any) -> Any:
        """Return the value of a node or of a parameter; what is no node is returned as it is."""
        if not hasattr(node, "all_input_nodes"):
            return node
        value = self.values[node] if node in self.values else self.tensors[node]
        is_real = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.to(self.dtype) if is_real else value


class Linear(Run):
    """The linear copy from a node on."""

    dtype = torch.float64

    def __init__(
        self, tensors: Mapping[Any, Any], moving: set[Any], start: Any, held: Mapping[Any, Any]
    ) -> None:
        """Begin at a node, with zeros; `held` are real values over images, [image, …]."""
        self.leaf = torch.zeros(shape_of(start), dtype=self.dtype, requires_grad=True)
        real = {node: value[: len(self.leaf)] for node, value in held.items()}
        super().__init__(tensors, moving, real | {start: self.leaf})
        self.held, self.reached = held, {start}

    def through(self, nodes: Sequence[Any], keep: set[Any] | None = None) -> dict[Any, Any]:
        """Compute nodes in order; return all values."""
        self.reached |= set(nodes)
        return super().through(nodes, keep)

    def value(self, node: Any) -> Any:
        """Return the value of a node, CURVED for one that has no linear form."""
        name, first = name_of(node), node.args[0]
        moving = [before for before in node.all_input_nodes if before in self.moving]
        factors = [each for each in node.args[:2] if each in self.moving] if name in ("mul", "div") else []
        if len(factors) == 2:
            return self._product(node, *factors)
        if factors and name == "div" and factors[0] is not first:
            return CURVED
        if name in ("add", "sub") and len(moving) == 2:
            # What has lost its positions is held, and adds nothing to slopes.
            lost = [_is_lost(a.meta["val"], b.meta["val"]) for a, b in (moving, moving[::-1])]
            if any(lost):
                kept = self.operand(moving[lost.index(False)])
                return -kept if name == "sub" and lost[0] and kept is not CURVED else kept
        if any(self.values[before] is CURVED for before in moving):
            return CURVED
        if name in PASSED:
            return self.operand(first)
        if name in NORMS:
            return _normed(node, self.operand, self.held[first])
        pooled = _mean_of_largest(node, self.operand)
        if pooled is not None:
            return pooled
        is_linear = name in LINEAR or name in ("add", "sub", "rsub", "mul", "div", "addcmul")
        single = len(moving) == 1 or name in ("cat", "stack", "add", "sub")
        return self.call(node) if is_linear and single else CURVED

    def _product(self, node: Any, a: Any, b: Any) -> Any:
        """Return a product or a quotient of two values that depend on the image, one of them held."""
        if a is b:
            return CURVED
        for root, function in ((a, b), (b, a)):
            if _is_function(function, root, self.moving):
                return self.values[root]
        gate = self._gate(a, b)
        other = b if gate is a else a
        if gate is None or self.values[other] is CURVED or (name_of(node) == "div" and gate is a):
            return CURVED
        mean = _over_positions(self.held[gate].mean(0, keepdim=True))
        return self.operand(other) * (mean if name_of(node) == "mul" else 1 / mean)

    def _gate(self, a: Any, b: Any) -> Any:
        """Return which of two operands is held, None where neither is a gate."""
        inside = [each for each in (a, b) if each in self.reached]
        if len(inside) == 1:
            return b if inside[0] is a else a
        real = {each: self.held[each] for each in (a, b)}
        for each, other in ((a, b), (b, a)):
            if _is_lost(real[each], real[other]):
                return each
        squashed = [each for each in (a, b) if _is_squashed(each, self.moving)]
        if len(squashed) == 1:
            return squashed[0]
        small = min((a, b), key=lambda each: real[each].numel())
        return None if real[a].numel() == real[b].numel() else small


class Positive(Run):
    """The positive copy from the image on."""

    dtype = torch.float64

    def value(self, node: Any) -> Any:
        """Return the value of a node, made of positive numbers alone."""
        name = name_of(node)
        given = [self.operand(each) for each in node.args[:3]]
        x = given[0]
        if name in PASSED | NORMS or name in ("softmax", "batch_norm", "instance_norm"):
            return x
        if name == "_native_batch_norm_legit_no_training":
            return x, None, None
        if name in ("conv2d", "linear", "conv_transpose2d"):
            return self.call(node, x, _positive(given[1], 0), *([None] if len(node.args) > 2 else []))
        if name == "addmm":
            return given[1] @ _positive(given[2], 1)
        if name in ("matmul", "bmm", "mm"):
            return x.abs() @ given[1].abs()
        if name == "scaled_dot_product_attention":
            return x @ given[1].transpose(-1, -2) @ given[2] / given[1].shape[-2]
        if name in ("pad", "constant_pad_nd") and "reflect" not in node.args:
            return F.pad(x, node.args[1])
        if name in ("add", "sub", "rsub", "mul", "div"):
            return self._joined(node, *node.args[:2])
        pooled = _mean_of_largest(node, self.operand)
        return self.call(node) if pooled is None else pooled

    def _joined(self, node: Any, *operands: Any) -> Any:
        """Return the sum of what depends on the image, without what has lost its positions."""
        moving = [self.values[each] for each in operands if each in self.moving]
        if len(moving) == 2:
            a, b = moving
            return a if _is_lost(b, a) else b if _is_lost(a, b) else a + b
        return moving[0].expand(shape_of(node))


def name_of(node: Any) -> str:
    """Return the name of a node's operation without its library and its variant: "conv2d"."""
    return str(getattr(node.target, "__name__", node.target)).removeprefix("aten.").partition(".")[0]


def shape_of(node: Any) -> tuple[int, ...]:
    """Return the shape of a node's value."""
    return tuple(node.meta["val"].shape)


def _mean_of_largest(node: Any, operand: Any) -> Any:
    """Return the mean in place of the largest values; None for another operation."""
    name, x, rest = name_of(node), operand(node.args[0]), node.args[1:]
    if name == "max_pool2d":
        size, stride, padding, dilation, up = (*rest, *(None, 0, 1, False)[len(rest) - 1 :])
        assert np.all(np.equal(dilation, 1))
        by = [padding] * 4 if isinstance(padding, int) else [padding[-1]] * 2 + [padding[0]] * 2
        return F.avg_pool2d(F.pad(x, by), size, stride or size, ceil_mode=up)
    if name == "adaptive_max_pool2d":
        return F.adaptive_avg_pool2d(x, rest[0]), None
    if name == "amax":
        return x.mean(*rest)
    return None


def _normed(node: Any, operand: Any, real: Any) -> Any:
    """Return a norm whose deviation is held at its mean over images and positions, without its shift.

    The mean over positions of a group norm is held too, and adds nothing to slopes.
    """
    x, size, *rest = (operand(each) for each in node.args)
    scale = rest[0] if rest and rest[0] is not None else 1
    epsilon = rest[2] if len(rest) > 2 else 1e-5
    if name_of(node) == "layer_norm":
        dims = list(range(-len(size), 0))
        by = torch.rsqrt(real.var(dims, correction=0, keepdim=True) + epsilon)
        by = by.mean(list(range(real.ndim - len(size))), keepdim=True)
        return (x - x.mean(-1, keepdim=True) if len(size) == 1 else x) * by * scale
    spread = real.reshape(len(real), size, -1).var(2, correction=0)
    by = torch.rsqrt(spread + epsilon).mean(0).repeat_interleave(x.shape[1] // size)
    return x * (by * scale).reshape(1, -1, *(1,) * (x.ndim - 2))


def _over_positions(factor: Any) -> Any:
    """Return a factor [1, …] averaged over the rows and columns that it has."""
    if factor.ndim != 4:
        return factor
    last = factor.shape[1] == factor.shape[2] != factor.shape[3]
    return factor.mean((1, 2) if last else (2, 3), keepdim=True)


def _is_lost(value: Any, other: Any) -> bool:
    """Return whether a value has no positions where another that it acts on has them."""
    if not (value.ndim == other.ndim >= 4):
        return False
    places = [(-2, -1), (1, 2)] if value.ndim == 4 else [(-2, -1)]
    return any(
        value.shape[a] == value.shape[b] == 1 and (other.shape[a], other.shape[b]) != (1, 1)
        for a, b in places
    )


def _is_function(node: Any, root: Any, moving: set[Any]) -> bool:
    """Return whether a node is an elementwise function of another, as in x * sigmoid(x)."""
    while node is not root:
        before = [each for each in node.all_input_nodes if each in moving]
        if name_of(node) not in POINTWISE or len(before) != 1:
            return False
        node = before[0]
    return True


def _is_squashed(node: Any, moving: set[Any]) -> bool:
    while name_of(node) not in SQUASHES:
        before = [each for each in node.all_input_nodes if each in moving]
        if name_of(node) not in SHAPES | {"add", "mul", "div"} or len(before) != 1:
            return False
        node = before[0]
    return True


def _positive(weight: Any, out: int) -> Any:
    """Return a weight's absolute value, not too near to zero; kernels sum to about 1, so that none grows."""
    size = weight.abs() + POSITIVE * weight.abs().max()
    return size * size.shape[out] / size.sum()
