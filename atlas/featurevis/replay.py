"""Copy a cropped network into the current tf.Graph, node by node, with faster kernels where available."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from atlas.core.records import Floats
from atlas.featurevis import gradients, kernels
from atlas.featurevis.fitting import Crop
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.view import node_of, tensor_of
from atlas.model.network import Network

tf = tensorflow.compat.v1


# Ops that run in bfloat16 if a recipe asks for it: convolutions, and ops that oneDNN fuses with them.
HALVED = frozenset({"Conv2D", "BiasAdd", "Relu", "Relu6", "ConcatV2", "MaxPool"})
FLOATS = (tf.float32, tf.bfloat16)
# Half and double precision of a network become float32: gradients vanish in half, and double is slow.
_OTHER_FLOATS = frozenset(d.as_datatype_enum for d in (tf.float16, tf.bfloat16, tf.float64))
_FLOAT = tf.float32.as_datatype_enum
_CONSTANTS = "constants of a network"
# With more bytes of constants in a network, those over _SMALL bytes become variables; GoogLeNet has 27 MB.
MOST_CONSTANTS = 64 << 20
_SMALL = 1 << 14


def replay(network: Network, crop: Crop, images: Any, *, precision: str) -> Any:
    """Return the crop's tensor, computed from its window of images [n, h, w, channel] in [0, 1].

    `precision` is that of the convolutions, "float32" or "bfloat16"; everything else is float32.
    """
    low, high = network.value_range
    tensors = {tensor_of(network.input_tensor): images * (high - low) + low}
    dtypes, shared = _dtypes(crop, precision), _shared(network)
    with tf.name_scope("network"):
        for node in crop.graph_def.node:
            if node.op == "Const":
                tensors[f"{node.name}:0"] = shared.constant(node)
                continue
            dtype = dtypes[node.name]
            inputs = [tensors[tensor_of(name)] for name in node.input if not name.startswith("^")]
            if node.op != "LRN":
                inputs = [shared.cast(tensor, dtype) for tensor in inputs]
            for i, out in enumerate(_outputs(node, inputs, dtype)):
                tensors[f"{node.name}:{i}"] = out
    return shared.cast(tensors[tensor_of(crop.tensor)], tf.float32)


def fill(session: Any) -> None:
    """Load the weights that the graph holds as variables into a session, unless it already has them."""
    for shared in session.graph.get_collection(_CONSTANTS):
        shared.fill(session)


def _shared(network: Network) -> _Shared:
    """Return the constants and casts of the current graph, which all scenes share."""
    collection = tf.get_collection_ref(_CONSTANTS)
    if not collection:
        collection.append(_Shared(n_constant_bytes(network) > MOST_CONSTANTS))
    shared: _Shared = collection[0]
    return shared


def n_constant_bytes(network: Network) -> int:
    """Return the size of a network's constants in bytes."""
    return sum(node.ByteSize() for node in network.view.nodes.values() if node.op == "Const")


def _dtypes(crop: Crop, precision: str) -> dict[str, Any]:
    """Return each node's precision by name; a normalization writes the precision of its readers."""
    low = tf.bfloat16 if precision == "bfloat16" else tf.float32
    dtypes = {node.name: low if node.op in HALVED else tf.float32 for node in crop.graph_def.node}
    for node in crop.graph_def.node:
        for name in map(node_of, node.input):
            if dtypes[node.name] == low and name in dtypes and name in _normalizations(crop):
                dtypes[name] = low
    return dtypes


def _normalizations(crop: Crop) -> frozenset[str]:
    return frozenset(node.name for node in crop.graph_def.node if node.op == "LRN")


class _Shared:
    """A network's constants in one graph and the casts of its tensors, each created once.

    TensorFlow copies a constant for every session and every kind of step, and keeps the copies that it
    prepares: a build took up to 80 times the memory of a network's weights. So the weights of a large network
    are variables, which are not copied. Those of a small one stay constants, which keeps the bytes of its
    pictures as they always were.
    """

    def __init__(self, large: bool) -> None:
        self._large = large
        self._tensors: dict[tuple[str, Any], Any] = {}
        self._values: dict[str, Floats] = {}
        self._variables: list[tuple[Any, Any, Floats]] = []
        self._filled: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def constant(self, node: Any) -> Any:
        """Return the tensor of a Const node."""
        key = node.name, None
        if key not in self._tensors:
            proto = node.attr["value"].tensor
            as_variable = (
                self._large and proto.ByteSize() > _SMALL and proto.dtype in {*_OTHER_FLOATS, _FLOAT}
            )
            self._tensors[key] = (
                self._variable(tensorflow.make_ndarray(proto), tf.float32)
                if as_variable
                else _outputs(node, [], tf.float32)[0]
            )
        return self._tensors[key]

    def cast(self, tensor: Any, dtype: Any) -> Any:
        """Return a tensor in another precision; tensors of other types than FLOATS stay as they are."""
        if tensor.dtype == dtype or tensor.dtype not in FLOATS:
            return tensor
        key = tensor.name, dtype
        if key not in self._tensors:
            self._tensors[key] = self._cast(tensor, dtype)
        return self._tensors[key]

    def fill(self, session: Any) -> None:
        """Load the variables into a session that were created since its last call."""
        done = self._filled.get(session, 0)
        for assign, placeholder, value in self._variables[done:]:
            session.run(assign, {placeholder: value})
        self._filled[session] = len(self._variables)

    def _cast(self, tensor: Any, dtype: Any) -> Any:
        if tensor.name in self._values:
            return self._variable(self._values[tensor.name], dtype)
        value = tf.get_static_value(tensor)
        return tf.cast(tensor, dtype) if value is None else tf.constant(value, dtype)

    def _variable(self, value: Floats, dtype: Any) -> Any:
        value = value.astype(dtype.as_numpy_dtype)
        placeholder = tf.placeholder(dtype, value.shape)
        variable = tf.Variable(placeholder, use_resource=True, trainable=False)
        self._variables.append((variable.initializer, placeholder, value))
        tensor = variable.read_value()
        self._values[tensor.name] = value
        return tensor


def _outputs(node: Any, inputs: list[Any], dtype: Any) -> list[Any]:
    if node.op == "LRN":
        return [_normalized(node, inputs[0], dtype)]
    attrs = _in_float32(node)
    if node.op == "Cast":
        # The images are floats, whatever type the network's placeholder has.
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
    """Return a node's attributes with float32 in place of other float types."""
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
    # A GraphDef may leave out values that equal TensorFlow's defaults.
    defaults = {"bias": 1.0, "alpha": 1.0, "beta": 0.5}
    numbers = {key: node.attr[key].f if key in node.attr else value for key, value in defaults.items()}
    radius = node.attr["depth_radius"].i if "depth_radius" in node.attr else 5
    scale = {"bias": numbers["bias"], "alpha": numbers["alpha"], "beta": round(numbers["beta"], 6)}
    return kernels.normalization(images, radius=radius, dtype=dtype, **scale)
