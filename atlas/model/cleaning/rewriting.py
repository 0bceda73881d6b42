"""Ops that TensorFlow cannot run, or that hide what they compute, rewritten as equivalent plain ops.

Explicit padding is moved in front of a convolution: TensorFlow aborts where its optimizer fuses such a
depthwise convolution with the bias after it, and has no gradient for such dilated or grouped ones. A
convolution between SpaceToBatchND and BatchToSpaceND becomes a dilated one. Fused ops are split. Everything
is changed in place; nodes that others read keep their names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.model.cleaning.importing import import_exactly
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import added, make_identity, names_of, unused
from atlas.model.graph.view import GraphView, node_of

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
# Ops that treat each position separately.
_POINTWISE = frozenset(
    {"BiasAdd", "Add", "AddV2", "Mul", "Sub", "Relu", "Relu6", "Identity", "FusedBatchNormV3"}
)
_FUSED = {
    "_FusedConv2D": "Conv2D",
    "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
_ACTIVATIONS = {
    "Relu": "Relu",
    "Relu6": "Relu6",
    "Elu": "Elu",
    "LeakyRelu": "LeakyRelu",
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
}
_QUANTIZED = ("Quantize", "Dequantize", "Requantiz", "UniformQuantize", "UniformDequantize")


def check_quantized(graph_def: Any, where: str) -> None:
    """Raise ModelError where a graph computes with quantized numbers, which have no gradients."""
    for node in graph_def.node:
        if node.op.startswith(_QUANTIZED) and not node.op.startswith("QuantizeAndDequantize"):
            raise ModelError(
                f"{where} is quantized",
                found=f"{node.op} (node {node.name})",
                expected="a network that computes with floats",
                remedy="export the model before it was quantized",
            )


def split_fused(graph_def: Any) -> None:
    """Split ops that an optimizer fused: a convolution or product, its bias, its activation."""
    for node in [node for node in graph_def.node if node.op in _FUSED]:
        steps = [step.decode() for step in node.attr["fused_ops"].list.s]
        if not steps or steps[0] != "BiasAdd" or any(step not in _ACTIVATIONS for step in steps[1:]):
            raise ModelError(
                f"{node.name} ({node.op}) joins ops that cannot be taken apart",
                found=", ".join(steps) or "none named",
                expected="BiasAdd and an activation",
                remedy="export the model without grappler's optimizations",
            )
        _split(graph_def, node, steps)


def _split(graph_def: Any, node: Any, steps: list[str]) -> None:
    *data, bias = [tensor for tensor in node.input if not tensor.startswith("^")][:3]
    dtype = node.attr["T"].type
    keys = {"T", "strides", "padding", "explicit_paddings", "data_format", "dilations", "use_cudnn_on_gpu"}
    keys |= {"transpose_a", "transpose_b"} if node.op == "_FusedMatMul" else set()
    linear = graph_def.node.add(name=_free(graph_def, f"{node.name}/{_FUSED[node.op]}"), op=_FUSED[node.op])
    linear.input.extend(data)
    for key in keys & set(node.attr):
        linear.attr[key].CopyFrom(node.attr[key])
    alpha = node.attr["leakyrelu_alpha"].f if "leakyrelu_alpha" in node.attr else 0.2
    last = linear.name
    for index, step in enumerate(steps):
        end = index == len(steps) - 1
        op = node if end else graph_def.node.add(name=_free(graph_def, f"{node.name}/{step}"))
        op.op = step
        op.attr.clear()
        op.attr["T"].type = dtype
        if step == "LeakyRelu":
            op.attr["alpha"].f = alpha
        del op.input[:]
        op.input.extend([last, bias] if step == "BiasAdd" else [last])
        last = op.name


def _free(graph_def: Any, name: str) -> str:
    return unused(name, names_of(graph_def))


def pad_in_front(graph_def: Any) -> None:
    """Turn explicit padding of convolutions into separate ops."""
    convolutions = [
        node for node in graph_def.node if node.op in _CONVOLUTIONS and node.attr["padding"].s == b"EXPLICIT"
    ]
    for node in convolutions:
        margins = np.reshape(node.attr["explicit_paddings"].list.i, (4, 2))
        _pad(graph_def, node, margins)


def _pad(graph_def: Any, node: Any, margins: NDArray[Any]) -> None:
    """Let a convolution read its input already padded, and pad nothing itself."""
    node.attr["padding"].s = b"VALID"
    if "explicit_paddings" in node.attr:
        del node.attr["explicit_paddings"]
    if np.any(margins):
        source = (node.input[0], tf.as_dtype(node.attr["T"].type))
        node.input[0] = added(
            graph_def, f"{node.name}/Pad", lambda x: tf.pad(x, margins.astype(np.int32)), source
        )


def join_dilated(graph_def: Any, entry: str, size: tuple[int, int, int]) -> None:
    """Replace each convolution between SpaceToBatchND and BatchToSpaceND by a dilated one."""
    view = GraphView(graph_def)
    chains = [
        chain for name in view.order if view.op(name) == "SpaceToBatchND" if (chain := _chain(view, name))
    ]
    if not chains:
        return
    sizes = [size, (size[0] + 1, size[1] + 3, size[2])]
    tensors = [
        tensor for chain in chains for tensor in (*view.inputs(chain[0])[1:], *view.inputs(chain[-1])[1:])
    ]
    values = _values(graph_def, view, entry, sizes, tensors)
    for index, chain in enumerate(chains):
        _join(graph_def, view, chain, [each[4 * index : 4 * index + 4] for each in values])


def _chain(view: GraphView, start: str) -> list[str]:
    """Return the nodes from SpaceToBatchND to BatchToSpaceND; empty unless they hold a single convolution."""
    chain = [start]
    while view.op(chain[-1]) != "BatchToSpaceND":
        readers = view.consumers(chain[-1])
        if len(readers) != 1 or view.op(readers[0]) not in _POINTWISE | _CONVOLUTIONS | {"BatchToSpaceND"}:
            return []
        chain.append(readers[0])
    # The convolution must come first: zeros padded before another op would not stay zero.
    linear = [view.nodes[name] for name in chain if view.op(name) in _CONVOLUTIONS]
    plain = view.op(chain[1]) in _CONVOLUTIONS and all(
        node.attr["padding"].s == b"VALID"
        and set(node.attr["strides"].list.i) == {1}
        and set(node.attr["dilations"].list.i) <= {1}
        for node in linear
    )
    operands = [t for n in chain[1:-1] for t in view.inputs(n) if node_of(t) not in chain]
    return chain if len(linear) == 1 and plain and all(view.constant(t) is not None for t in operands) else []


def _values(
    graph_def: Any, view: GraphView, entry: str, sizes: list[tuple[int, int, int]], tensors: list[str]
) -> list[list[NDArray[Any]]]:
    """Return, for each image size, the values of tensors that depend on the size alone."""
    constants = [view.constant(tensor) for tensor in tensors]
    if all(value is not None for value in constants):
        return [[np.asarray(value) for value in constants]]
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, None, None, sizes[0][2]])
        tensor = import_exactly(graph_def, entry, images)
        outputs = [tensor(name) for name in tensors]
    with tf.compat.v1.Session(graph=graph) as session:
        return [session.run(outputs, {images: np.zeros([1, *size], np.float32)}) for size in sizes]


def _join(graph_def: Any, view: GraphView, chain: list[str], values: list[list[NDArray[Any]]]) -> None:
    """Dilate the convolution of a chain if its padding is the same for images of every size."""
    blocks = values[0][0]
    margins = [np.asarray(pads) - np.asarray(crops) for _, pads, _, crops in values]
    fixed = all(np.array_equal(each, margins[0]) for each in margins)
    if not fixed or np.any(margins[0] < 0) or len(blocks) != 2 or not np.array_equal(blocks, values[0][2]):
        return
    node = view.nodes[chain[1]]
    kernel = view.constant(node.input[1])
    if kernel is None:
        return
    node.attr["dilations"].list.i[:] = [1, *map(int, blocks), 1]
    node.input[0] = view.nodes[chain[0]].input[0]
    reach = np.asarray(blocks) * (np.asarray(kernel.shape[:2]) - 1)
    if np.array_equal(margins[0], np.stack([reach // 2, reach - reach // 2], 1)):
        node.attr["padding"].s = b"SAME"
    else:
        _pad(graph_def, node, np.concatenate([[[0, 0]], margins[0], [[0, 0]]]))
    make_identity(view.nodes[chain[-1]], view.nodes[chain[-1]].input[0])
