"""Graphs that mix the images of a batch: found by their ops, then tried out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.cleaning.importing import import_exactly
from atlas.model.graph.backend import tf
from atlas.model.graph.fusions import session_config
from atlas.model.graph.ops import OPS
from atlas.model.graph.view import GraphView, node_of
from atlas.model.positions.axes import Shape

Shapes = Mapping[str, Shape]
# How many images `check_rows` tries: a single image, or two equal ones, would not reveal a wrong layout.
_TRIED = 3


def may_mix(view: GraphView, entry: str, shapes: Shapes) -> bool:
    """Return whether any node acts along the first axis or drops it, so that images might affect each other.

    Most such nodes do no harm, like a pair of transposes around an attention; `check_rows` tries it out.
    """
    moving = view.descendants(entry) - {node_of(entry)}
    return any(_acts_on_batch(view, name, moving, shapes) for name in view.order if name in moving)


def _acts_on_batch(view: GraphView, name: str, moving: frozenset[str], shapes: Shapes) -> bool:
    op, inputs, node = view.op(name), view.inputs(name), view.nodes[name]
    if name in shapes and shapes[name][:1] != (None,):  # what depends on images has no axis of them
        return True
    if op in _KNOWN:
        return _KNOWN[op](view, name, shapes)
    if op == "MatMul":
        return all(node_of(tensor) in moving for tensor in inputs)
    if op == "Transpose":
        order = view.constant(inputs[1])
        return order is None or int(order.flat[0]) != 0
    if op in ("Pack", "Unpack"):
        return int(node.attr["axis"].i) == 0
    if op.startswith("FusedBatchNorm"):  # in a training graph it uses the statistics of the batch
        return "is_training" not in node.attr or bool(node.attr["is_training"].b)
    if op == "StridedSlice":
        # The slice takes all of the first axis if it has no bounds there, or starts with "...".
        begin, end, dots = (int(node.attr[f"{each}_mask"].i) & 1 for each in ("begin", "end", "ellipsis"))
        return not (dots or (begin and end))
    if op not in _ALONG:
        return op not in OPS
    data = inputs[1] if op == "Split" else inputs[0]
    axes, rank = view.constant(inputs[_ALONG[op]]), len(shapes.get(node_of(data), ()))
    if op == "GatherV2" and node_of(data) not in moving:
        return False
    return axes is None or any(int(axis) in (0, -rank) for axis in np.ravel(axes))


def _regroups(view: GraphView, name: str, shapes: Shapes) -> bool:
    """Return whether a reshape's first axis is not that of the images alone.

    Its length is a number then, or an image has another number of values in the other axes.
    """
    lengths = view.constant(view.inputs(name)[1])
    if lengths is not None and lengths.size and int(lengths.flat[0]) > 0:
        return True
    counts = [shapes.get(each, ()) for each in (node_of(view.inputs(name)[0]), name)]
    sizes = {math.prod(n or 0 for n in shape[1:]) for shape in counts}
    return len(sizes) != 1 or not all(counts)


def _pairs_images(view: GraphView, name: str, shapes: Shapes) -> bool:
    """Return whether a product of stacked matrices has no axis of images, or stretches one."""
    found = [shapes.get(node_of(tensor), ()) for tensor in view.inputs(name) if view.constant(tensor) is None]
    return len({len(shape) for shape in found}) > 1 or any(len(s) < 3 or s[0] is not None for s in found)


def _contracts_images(view: GraphView, name: str, shapes: Shapes) -> bool:
    """Return whether an einsum's operands and result do not all begin with the same axis."""
    sides, _, out = view.nodes[name].attr["equation"].s.decode().replace(" ", "").partition("->")
    # A constant operand has no axis of images.
    terms = [
        term
        for term, tensor in zip(sides.split(","), view.inputs(name), strict=False)
        if (shapes.get(node_of(tensor)) or (1,))[0] is None
    ]
    return len({term[:1] for term in (*terms, out)}) != 1


def _drops_first(view: GraphView, name: str, shapes: Shapes) -> bool:
    dims = view.nodes[name].attr["squeeze_dims"].list.i
    return not dims or 0 in dims


def _adds_first(view: GraphView, name: str, shapes: Shapes) -> bool:
    axis, rank = view.constant(view.inputs(name)[1]), len(shapes.get(name, ()))
    return axis is None or int(axis.flat[0]) in (0, -rank)


def _is_flat(view: GraphView, name: str, shapes: Shapes) -> bool:
    return len(shapes.get(name, ())) < 2


_KNOWN: Mapping[str, Callable[[GraphView, str, Shapes], bool]] = {
    "Reshape": _regroups,
    "BatchMatMul": _pairs_images,
    "BatchMatMulV2": _pairs_images,
    "Einsum": _contracts_images,
    "Squeeze": _drops_first,
    "ExpandDims": _adds_first,
    "Softmax": _is_flat,
    "LogSoftmax": _is_flat,
}
# Which input of an op holds the axes along which it acts.
_ALONG = {
    **dict.fromkeys("Mean Sum Max Min Prod All Any ReverseV2 Cumsum Cumprod ArgMax ArgMin".split(), 1),
    **dict.fromkeys(("Roll", "GatherV2", "SplitV"), 2),
    "ConcatV2": -1,
    "Split": 0,
}


def check_rows(
    graph_def: Any,
    entry: str,
    size: tuple[int, int, int],
    tensors: Sequence[str],
    value_range: tuple[float, float],
) -> None:
    """Raise ModelError unless all `tensors` are the same for images together as for each alone.

    A graph that was exported for one batch size may still mix images after `free_batch`. The images are noise
    in `value_range`.
    """
    images = np.random.default_rng(0).uniform(*value_range, (_TRIED, *size)).astype(np.float32)
    # Beside a plain image the others stay what they are: that shows what is mixed where images of noise give
    # maps that hardly differ. A batch of the same size is rounded alike, so very little may differ.
    dark, light = (np.full(size, value, np.float32) for value in value_range)
    others = ([*images[:-1], dark], slice(None, -1)), ([light, *images[1:]], slice(1, None))
    with tf.Graph().as_default() as graph:
        read_images = tf.compat.v1.placeholder(tf.float32, [None, *size])
        tensor = import_exactly(graph_def, entry, read_images)
        outputs = [tensor(name) for name in tensors]
    with tf.compat.v1.Session(graph=graph, config=session_config(GraphView(graph_def))) as session:

        def treats_alike(each: Any) -> bool:
            try:
                alone = [session.run(each, {read_images: image[None]}) for image in images]
                together = session.run(each, {read_images: images})
            except tf.errors.OpError:
                return False
            largest = float(np.abs(together[np.isfinite(together)]).max(initial=1e-6))
            return all(
                rows.shape == (1, *together.shape[1:]) and _are_close(rows[0], row, 1e-3, 1e-3 * largest)
                for rows, row in zip(alone, together, strict=True)
            ) and all(
                _are_close(session.run(each, {read_images: batch})[kept], together[kept], 0, 1e-6 * largest)
                for batch, kept in others
            )

        mixed = next(
            (name for name, each in zip(tensors, outputs, strict=True) if not treats_alike(each)), ""
        )
    if mixed:
        raise ModelError(
            f"images that are computed together change each other before {node_of(mixed)}",
            found="a graph that is bound to one batch size or one size of images, or that mixes its images",
            expected="layers that treat each image by itself",
            remedy="let each image be computed by itself; export the model for inference with a free batch; "
            "give no --input-shape (input_shape in Python)",
        )


def _are_close(one: Any, other: Any, rtol: float, atol: float) -> bool:
    """Return whether values are as close, and those that are no finite numbers the same."""
    return bool(np.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True))
