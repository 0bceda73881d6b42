"""Linear copies of exported programs, in double precision: PyTorch's own gradients say what is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_twin import torch

F = torch.nn.functional
# Activations that lose what they read, or their slope: the identity in every copy.
KINKED = frozenset(
    """relu relu6 hardtanh leaky_relu hardswish hardsigmoid prelu clamp clamp_min clamp_max abs
    threshold""".split()
)
# Activations that are the identity where weights are compared.
ACTIVATIONS = KINKED | frozenset("elu selu celu gelu silu mish".split())
# Ops across which the weights are those of the copy; of a sum or a difference, of a product with a parameter.
LINEAR = frozenset(
    """conv2d _native_batch_norm_legit_no_training batch_norm max_pool2d avg_pool2d add
    sub cat slice pad constant_pad_nd chunk split split_with_sizes getitem dropout feature_dropout clone
    contiguous permute view reshape unsqueeze squeeze expand select transpose mul div neg
    channel_shuffle relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish
    hardswish""".split()
)
# A part of the largest slope that is none.
ZERO = 1e-13
# Places between which a dilated kernel reads nothing, at most.
GAP = 8


def op_of(node: Any) -> str:
    """Return an op's name without its overload: "conv2d"."""
    if not hasattr(node.target, "_schema"):
        return str(getattr(node.target, "__name__", node.target))
    return str(node.target).removeprefix("aten.").partition(".")[0]


class DoubleCopy(torch.fx.Interpreter):  # type: ignore[misc, name-defined]
    """A program in double precision; `found` holds the value of each node."""

    def __init__(self, program: Any, given: Mapping[str, Any]) -> None:
        """Take the program, and the values of nodes that are not computed: its inputs, at least."""
        super().__init__(program.graph_module, garbage_collect_values=False)
        self.given = {k: v.double() if v.is_floating_point() else v for k, v in given.items()}
        self.found: dict[str, Any] = {}
        self.inputs = [n.name for n in program.graph.nodes if n.op == "placeholder"]

    def values(self) -> dict[str, Any]:
        """Return the value of each node."""
        torch.set_default_dtype(torch.float64)
        try:
            self.run(*map(self.given.get, self.inputs))
        finally:
            torch.set_default_dtype(torch.float32)
        return self.found

    def run_node(self, n: Any) -> Any:
        """Return a node's value, and keep it."""
        value = self.given[n.name] if n.name in self.given else self._value(n)
        self.found[n.name] = value
        return value

    def _value(self, n: Any) -> Any:
        if n.op != "call_function" or not hasattr(n.target, "_schema"):
            return super().run_node(n)
        args, keywords = self.fetch_args_kwargs_from_env(n)
        args = tuple(torch.float64 if each is torch.float32 else each for each in args)
        keywords = {k: torch.float64 if v is torch.float32 else v for k, v in keywords.items()}
        return self._called(n, args, keywords)

    def _called(self, n: Any, args: Any, keywords: Any) -> Any:
        return n.target(*args, **keywords)


class LinearCopy(DoubleCopy):
    """A copy with identities for some activations, and means for maxima."""

    identities: Collection[str] = ()
    moving: Collection[str] = ()

    def _called(self, n: Any, args: Any, keywords: Any) -> Any:
        if n.name not in self.moving:
            return super()._called(n, args, keywords)
        op = op_of(n)
        return args[0] if op in self.identities else linear(op, n.target, args, keywords)


def linear(op: str, target: Callable[..., Any], args: Any, keywords: Any) -> Any:
    """Return what an op's linear stand-in gives."""
    if op == "max_pool2d":
        x, side, *rest = args
        strides, padding, dilation, ceil = (*rest, *((), 0, 1, False)[len(rest) :])
        if set(np.ravel(dilation)) == {1}:
            return F.avg_pool2d(x, side, strides or side, padding, ceil)
    if op in ("amax", "max") and len(args) > 1:
        mean = args[0].mean(*args[1:])
        return mean if op == "amax" else (mean, None)
    if op == "copy":  # has no gradient
        return args[1].expand_as(args[0])
    if op in ("maximum", "minimum"):
        return args[0] + args[1]
    return target(*args, **keywords)


def slopes(
    program: Any,
    tensors: Mapping[str, Any],
    ends: tuple[str, str],
    channels: Any,
    identities: Collection[str],
) -> NDArray[np.float64]:
    """Return the gradient of the target's middle by the source, [c, h, w], channels weighed by `channels`.

    `ends` are the nodes of source and target; `tensors` the values of the program's inputs and of the source.
    """
    source, target = ends
    copy = LinearCopy(program, tensors)
    copy.identities, copy.moving = identities, dependents(program, program.graph_signature.user_inputs)
    start = copy.given[source] = copy.given[source].clone().requires_grad_()
    with torch.enable_grad():
        value = copy.values()[target]
        middle = value[0, :, value.shape[2] // 2, value.shape[3] // 2]
        (slope,) = torch.autograd.grad((middle * channels).sum(), start, materialize_grads=True)
    return np.asarray(slope[0])


def span(slope: NDArray[np.float64], axis: int) -> tuple[int, int]:
    """Return the first and the last place along h (0) or w (1) of a gradient [c, h, w] that is not zero."""
    size = np.abs(slope).max((0, 2 - axis))
    places = np.flatnonzero(size > ZERO * size.max()) if size.max() else np.arange(0)
    return (int(places[0]), int(places[-1])) if places.size else (0, -1)


def dependents(program: Any, names: Collection[str]) -> set[str]:
    """Return the names of the nodes that depend on these, and these."""
    seen = set(names)
    for node in program.graph.nodes:
        if any(before.name in seen for before in node.all_input_nodes):
            seen.add(node.name)
    return seen


def between(program: Any, source: str, target: str) -> list[Any]:
    """Return the nodes that depend on the source, and that the target depends on, without the source."""
    after, needed = dependents(program, [source]), {target}
    for node in reversed(list(program.graph.nodes)):
        if node.name in needed:
            needed.update(before.name for before in node.all_input_nodes)
    return [n for n in program.graph.nodes if n.name in after & needed and n.name != source]


def is_linear(node: Any, moving: Collection[str]) -> bool:
    """Return whether an op is one of `LINEAR`, and no product or difference of what depends on the image."""
    op, operands = op_of(node), [n for n in node.all_input_nodes if n.name in moving]
    circular = op == "pad" and "circular" in node.args
    return op in LINEAR and not circular and (op not in ("mul", "div") or len(operands) == 1)


def agrees(weights: NDArray[Any], slope: NDArray[Any], close: float) -> bool | None:
    """Return whether weights [c, h, w] are a gradient; None where the map's border is in it."""
    scale = np.abs(slope).max()
    spans = [span(slope, axis) for axis in (0, 1)]
    if not scale or any(a == 0 or b == n - 1 for (a, b), n in zip(spans, slope.shape[1:], strict=True)):
        return None
    window = slope[:, spans[0][0] : spans[0][1] + 1, spans[1][0] : spans[1][1] + 1]
    places = [span(np.where(np.abs(weights) > 1e-7 * scale, weights, 0), axis) for axis in (0, 1)]
    found = weights[:, places[0][0] : places[0][1] + 1, places[1][0] : places[1][1] + 1]
    axes = zip(found.shape[1:], window.shape[1:], spans, slope.shape[1:], strict=True)
    if any(f > w and min(a, n - 1 - b) < GAP for f, w, (a, b), n in axes):
        return None
    return found.shape == window.shape and bool(np.abs(found - window).max() <= close * scale)
