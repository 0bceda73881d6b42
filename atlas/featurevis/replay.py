"""A cut network put into the current tf.Graph node by node, with faster kernels where there are any."""

from __future__ import annotations

from typing import Any

from atlas.featurevis import gradients, kernels
from atlas.featurevis.cone import Cone
from atlas.model.backend import tf as tensorflow
from atlas.model.graph import node_of, tensor_of
from atlas.model.network import Network

tf = tensorflow.compat.v1


def replay(network: Network, cone: Cone, images: Any) -> Any:
    """Return the cone's tensor, fed with its window of images [n, h, w, channel] in [0, 1]."""
    low, high = network.value_range
    graph = tf.get_default_graph()
    tensors = {tensor_of(network.input_tensor): images * (high - low) + low}
    with tf.name_scope("network"):
        for node in cone.graph_def.node:
            inputs = [tensors[tensor_of(name)] for name in node.input if not name.startswith("^")]
            for i, out in enumerate(_outputs(graph, node, inputs)):
                tensors[f"{node.name}:{i}"] = out
    return tensors[tensor_of(cone.tensor)]


def _outputs(graph: Any, node: Any, inputs: list[Any]) -> list[Any]:
    if node.op == "LRN":
        attr = node.attr
        return [
            kernels.normalization(
                inputs[0],
                radius=attr["depth_radius"].i,
                bias=attr["bias"].f,
                alpha=attr["alpha"].f,
                beta=round(attr["beta"].f, 6),
            )
        ]
    attrs = {key: value for key, value in node.attr.items() if key not in ("_class", "_output_shapes")}
    gradient = gradients.name_for(node.op)
    if gradient:
        attrs["_gradient_op_type"] = tf.AttrValue(s=gradient.encode())
    operation = graph.create_op(node.op, inputs, name=node_of(node.name).split("/")[-1], attrs=attrs)
    return list(operation.outputs)
