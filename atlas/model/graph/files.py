"""Files of graphs and labels -> GraphDefs and names; a broken file is reported by its path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def parse_graph(data: bytes, where: str) -> Any:
    """Return the GraphDef in a file's bytes, binary or text; raises ModelError, naming `where`."""
    if not data[:64].strip():
        raise ModelError(f"{where} is empty", expected="a frozen GraphDef")
    if where.endswith(".pbtxt"):
        return _parse_text(data, where)
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(data)
    except DecodeError:
        graph_def.Clear()
    if graph_def.node and all(node.name and node.op for node in graph_def.node):
        _check_inputs(graph_def, where)
        return graph_def
    raise _not_a_graph(data, where)


def _check_inputs(graph_def: Any, where: str) -> None:
    """Raise ModelError where a node reads a missing node."""
    names = {node.name for node in graph_def.node}
    for node in graph_def.node:
        missing = next((n for n in node.input if n.lstrip("^").partition(":")[0] not in names), None)
        if missing is not None:
            raise ModelError(
                f"{where} cannot be read as a graph",
                found=f"{node.name[:80]!r}, which reads {missing[:80]!r}, a node that is not there",
                expected="a frozen GraphDef, whole",
                remedy="copy or export the file again",
            )


def _parse_text(data: bytes, where: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    try:
        return text_format.Parse(data, graph_def)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{where} is not a GraphDef in text form: {error}") from error
    except RecursionError:
        raise ModelError(f"{where} is nested too deeply", expected="a GraphDef in text form") from None


def _not_a_graph(data: bytes, where: str) -> ModelError:
    saved = SavedModel()
    try:
        saved.ParseFromString(data)
    except DecodeError:
        saved.Clear()
    if any(meta.HasField("meta_info_def") or meta.graph_def.node for meta in saved.meta_graphs):
        folder = Path(where).parent
        return ModelError(
            f"{where} is part of a SavedModel, not a frozen graph", remedy=f"name its folder, {folder}"
        )
    return ModelError(
        f"{where} cannot be read as a graph",
        found=f"{len(data)} bytes that are damaged or cut off",
        expected="a frozen GraphDef",
        remedy="copy or export the file again",
    )


def read_labels(data: bytes) -> tuple[str, ...]:
    """Return the labels in a text file, one per line."""
    return tuple(data.decode("utf-8", "replace").splitlines())


def graph_digest(graph_def: Any) -> str:
    """Return the SHA-256 of a graph, node by node: a whole graph may exceed protobuf's limit of 2 GB."""
    total = hashlib.sha256()
    for node in graph_def.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is not None and tensor.tensor_content:
            lengths = [dim.size for dim in tensor.tensor_shape.dim]
            total.update(f"{node.name} {tensor.dtype} {lengths}".encode())
            total.update(tensor.tensor_content)
        else:
            total.update(node.SerializeToString(deterministic=True))
    return total.hexdigest()
