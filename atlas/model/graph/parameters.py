"""A network's weights by name, and copies of its graph with other values for some of them.

A parameter is a constant of real numbers with at least one axis: kernels, biases, scales. It has the name of
its node, such as "conv2d0_w".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.core.errors import ParameterError, nearest
from atlas.core.records import Floats
from atlas.model.graph.backend import tf

_REAL = (tf.float16, tf.bfloat16, tf.float32, tf.float64)
_TYPES = frozenset(kind.as_datatype_enum for kind in _REAL)


class Parameters(Mapping[str, Floats]):
    """The parameters of a graph: name -> float32 array, a read-only copy."""

    def __init__(self, graph_def: Any) -> None:
        """Find the parameters; values are read on access."""
        self._nodes = {node.name: node for node in graph_def.node if _is_parameter(node)}

    def __getitem__(self, name: str) -> Floats:
        """Return a parameter's values; raises ParameterError, which is a KeyError, for an unknown name."""
        if name not in self._nodes:
            raise ParameterError(f"no parameter {name!r}", remedy=nearest(str(name), self._nodes))
        values = np.array(tf.make_ndarray(self._nodes[name].attr["value"].tensor), np.float32)
        values.flags.writeable = False
        return values

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the graph."""
        return iter(self._nodes)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        """Return whether a parameter has this name, without reading its values."""
        return name in self._nodes

    def __repr__(self) -> str:
        """Return the names of the parameters with their shapes."""
        shapes = (f"{name} {_shape(node)}" for name, node in self._nodes.items())
        return f"Parameters({', '.join(shapes)})"


def edited(graph_def: Any, edits: Mapping[str, ArrayLike], *, sha256: str) -> tuple[Any, str]:
    """Return a copy of a graph with other values for some parameters, and the copy's SHA-256.

    It is computed from the graph's `sha256` and the edits; without edits it is unchanged. Raises
    ParameterError.
    """
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    nodes = {node.name: node for node in copy.node if _is_parameter(node)}
    digest = hashlib.sha256(sha256.encode())
    for name in sorted(edits, key=str):
        if name not in nodes:
            raise ParameterError(f"no parameter {name!r}", remedy=nearest(str(name), nodes))
        tensor = nodes[name].attr["value"].tensor
        values = _checked(name, edits[name], _shape(nodes[name]), tf.as_dtype(tensor.dtype).as_numpy_dtype)
        tensor.CopyFrom(tf.make_tensor_proto(values))
        digest.update(f"{name} {values.dtype.name} {values.shape}\n".encode() + values.tobytes())
    return copy, digest.hexdigest() if edits else sha256


def _checked(name: str, given: ArrayLike, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return values cast to a parameter's type; raises ParameterError for another shape."""
    values = _array(name, given)
    if values.shape != shape:
        raise ParameterError(
            f"the parameter {name} cannot take another shape",
            found=values.shape,
            expected=shape,
            remedy=f'start from network.parameters["{name}"].copy()',
        )
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(values.astype(dtype))
    bad = int(np.count_nonzero(~np.isfinite(cast.astype(np.float64))))
    if bad:
        raise ParameterError(
            f"the parameter {name} would not be finite",
            found=f"{bad} values of {values.size} that are infinite or no number",
            expected=f"finite numbers that {np.dtype(dtype).name} can hold",
            remedy="replace them",
        )
    return cast


def _array(name: str, given: ArrayLike) -> NDArray[Any]:
    """Return values as an array of integers or real numbers, or raise ParameterError."""
    try:
        values = np.asarray(given)
        # bfloat16, which TensorFlow adds to NumPy, has the kind "V".
        if values.dtype.kind in "fiu" or values.dtype == tf.bfloat16.as_numpy_dtype:
            return values
        found = f"an array of {values.dtype.name}"
    except (TypeError, ValueError) as error:
        found = f"{type(given).__name__}, which is no array ({error})"
    raise ParameterError(
        f"the parameter {name} cannot take these values",
        found=found,
        expected="real numbers",
        remedy="give a NumPy array of float32",
    )


def _is_parameter(node: Any) -> bool:
    if node.op != "Const" or node.attr["dtype"].type not in _TYPES:
        return False
    return len(node.attr["value"].tensor.tensor_shape.dim) > 0


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(int(dim.size) for dim in node.attr["value"].tensor.tensor_shape.dim)
