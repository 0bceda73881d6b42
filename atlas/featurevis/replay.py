"""A cut network put into the current tf.Graph node by node, with faster kernels where there are any."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.featurevis import gradients, kernels
from atlas.featurevis.fitting import Cone
from atlas.model.backend import tf as tensorflow
from atlas.model.graph import node_of, tensor_of
from atlas.model.network import Network

tf = tensorflow.compat.v1


# Ops that run in bfloat16 where it is asked for: the convolutions and what oneDNN fuses into them.
HALVED = frozenset({"Conv2D", "BiasAdd", "Relu", "Relu6", "ConcatV2", "MaxPool"})
FLOATS = (tf.float32, tf.bfloat16)
# A network's own half and double precision: replayed in float32, whose gradients neither vanish nor wait.
_OTHER_FLOATS = frozenset(d.as_datatype_enum for d in (tf.float16, tf.bfloat16, tf.float64))
_FLOAT = tf.float32.as_datatype_enum
_CONSTANTS = "constants of a network"


def replay(network: Network, cone: Cone, images: Any, *, precision: str) -> Any:
    """Return the cone's tensor, fed with its window of images [n, h, w, channel] in [0, 1].

    `precision` is that of the convolutions, "float32" or "bfloat16"; everything else is float32.
    """
    low, high = network.value_range
    tensors = {tensor_of(network.input_tensor): images * (high - low) + low}
    dtypes, (constants, cast) = _dtypes(cone, precision), _shared()
    with tf.name_scope("network"):
        for node in cone.graph_def.node:
            if node.op == "Const":
                if node.name not in constants:
                    constants[node.name] = _outputs(node, [], tf.float32)[0]
                tensors[f"{node.name}:0"] = constants[node.name]
                continue
            dtype = dtypes[node.name]
            inputs = [tensors[tensor_of(name)] for name in node.input if not name.startswith("^")]
            if node.op != "LRN":
                inputs = [cast(tensor, dtype) for tensor in inputs]
            for i, out in enumerate(_outputs(node, inputs, dtype)):
                tensors[f"{node.name}:{i}"] = out
    return cast(tensors[tensor_of(cone.tensor)], tf.float32)


def _shared() -> tuple[dict[str, Any], _Casts]:
    """Return the constants and casts of the current graph: a network's weights are in it once.

    Each scene would hold them anew, a dozen times in all, and each session again.
    """
    held = tf.get_collection_ref(_CONSTANTS)
    if not held:
        held.append(({}, _Casts()))
    constants, casts = held[0]
    return constants, casts


def _dtypes(cone: Cone, precision: str) -> dict[str, Any]:
    """Return the precision that each node computes in; normalization writes what its readers want."""
    low = tf.bfloat16 if precision == "bfloat16" else tf.float32
    dtypes = {node.name: low if node.op in HALVED else tf.float32 for node in cone.graph_def.node}
    for node in cone.graph_def.node:
        for name in map(node_of, node.input):
            if dtypes[node.name] == low and name in dtypes and name in _normalizations(cone):
                dtypes[name] = low
    return dtypes


def _normalizations(cone: Cone) -> frozenset[str]:
    return frozenset(node.name for node in cone.graph_def.node if node.op == "LRN")


class _Casts:
    """Casts of tensors, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Any], Any] = {}

    def __call__(self, tensor: Any, dtype: Any) -> Any:
        if tensor.dtype == dtype or tensor.dtype not in FLOATS:
            return tensor
        key = tensor.name, dtype
        if key not in self._made:
            self._made[key] = _cast(tensor, dtype)
        return self._made[key]


def _cast(tensor: Any, dtype: Any) -> Any:
    value = tf.get_static_value(tensor)
    return tf.cast(tensor, dtype) if value is None else tf.constant(value, dtype)


def _outputs(node: Any, inputs: list[Any], dtype: Any) -> list[Any]:
    if node.op == "LRN":
        return [_normalized(node, inputs[0], dtype)]
    attrs = _in_float32(node)
    if node.op == "Cast":
        # The images are floats, whatever a network's placeholder takes.
        attrs["SrcT"] = tf.AttrValue(type=inputs[0].dtype.as_datatype_enum)
    if node.op in HALVED and inputs[0].dtype in FLOATS:
        attrs["T"] = tf.AttrValue(type=dtype.as_datatype_enum)
    gradient = gradients.name_for(node.op)
    if gradient:
        attrs["_gradient_op_type"] = tf.AttrValue(s=gradient.encode())
    name = node_of(node.name).split("/")[-1]
    operation = tf.get_default_graph().create_op(node.op, inputs, name=name, attrs=attrs)
    return list(operation.outputs)


def _in_float32(node: Any) -> dict[str, Any]:
    """Return a node's attributes with float32 for every other precision."""
    attrs = {key: value for key, value in node.attr.items() if key not in ("_class", "_output_shapes")}
    for key, value in attrs.items():
        if value.type in _OTHER_FLOATS:
            attrs[key] = tf.AttrValue(type=_FLOAT)
        elif value.tensor.dtype in _OTHER_FLOATS:
            constant = tensorflow.make_ndarray(value.tensor).astype(np.float32)
            attrs[key] = tf.AttrValue(tensor=tf.make_tensor_proto(constant))
        elif _OTHER_FLOATS & set(value.list.type):
            types = [_FLOAT if t in _OTHER_FLOATS else t for t in value.list.type]
            attrs[key] = tf.AttrValue(list=tf.AttrValue.ListValue(type=types))
    return attrs


def _normalized(node: Any, images: Any, dtype: Any) -> Any:
    # A GraphDef may leave out what equals TensorFlow's default.
    defaults = {"bias": 1.0, "alpha": 1.0, "beta": 0.5}
    held = {key: node.attr[key].f if key in node.attr else value for key, value in defaults.items()}
    radius = node.attr["depth_radius"].i if "depth_radius" in node.attr else 5
    scale = {"bias": held["bias"], "alpha": held["alpha"], "beta": round(held["beta"], 6)}
    return kernels.normalization(images, radius=radius, dtype=dtype, **scale)
