"""What an ONNX model computes without its images: run by ONNX's own reference evaluator."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError, first_line
from atlas.model.channels_first.values import Value

# Ops that measure a value: their result depends on its shape alone.
MEASURES = frozenset({"Shape", "Size"})


def onnx_part(name: str = "") -> Any:
    """Return the package onnx, or a module of it; it is imported only where an ONNX model is read."""
    return importlib.import_module(f"onnx.{name}" if name else "onnx")


def array_of(tensor: Any) -> NDArray[Any]:
    """Return the values of a tensor in a model; raises ModelError where its bytes are not all there."""
    try:
        array: NDArray[Any] = onnx_part("numpy_helper").to_array(tensor)
    except Exception as error:  # onnx raises errors of many types
        raise ModelError(f"the values of {tensor.name} cannot be read: {first_line(error)}") from error
    return array


def measured(op: str, value: Value, attributes: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the shape of a value that depends on images, or its number of elements."""
    if op == "Size":
        return np.asarray(np.prod(value.shape), np.int64)
    start, end = int(attributes.get("start", 0)), attributes.get("end")
    return np.asarray(value.shape[slice(start, None if end is None else int(end))], np.int64)


def computed(
    node: Any, arrays: Sequence[NDArray[Any] | None], opsets: Mapping[str, int]
) -> list[NDArray[Any]]:
    """Return the outputs of a node whose inputs are known; raises ModelError where ONNX has no reference.

    `arrays` are its inputs, None for one that was left out. `opsets` are the versions of ops by their domain.
    """
    onnx = onnx_part()
    given = {
        name: array for name, array in zip(node.input, arrays, strict=True) if name and array is not None
    }
    names = [name for name in node.output if name]
    info = onnx.helper.make_tensor_value_info
    kinds = onnx.helper.np_dtype_to_tensor_dtype
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [info(name, kinds(array.dtype), array.shape) for name, array in given.items()],
        [onnx.helper.make_empty_tensor_value_info(name) for name in names],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports)
    try:
        results = onnx_part("reference").ReferenceEvaluator(model).run(None, given)
    except Exception as error:  # the evaluator raises errors of many types
        raise ModelError(f"{node.op_type} of constants cannot be computed: {first_line(error)}") from error
    by_name = dict(zip(names, results, strict=True))
    return [np.asarray(by_name[name]) if name else np.zeros(0, np.float32) for name in node.output]
