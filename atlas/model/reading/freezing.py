"""TensorFlow functions and SavedModels -> frozen graphs: variables become constants, calls are unfolded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework.convert_to_constants import (
    _run_inline_graph_optimization,
    convert_variables_to_constants_v2,
)

from atlas.core.errors import ModelError, first_line
from atlas.model.graph.admission import check_reach
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import make_constant, make_identity
from atlas.model.graph.view import GraphView, node_of
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.source import files_digest

log = logging.getLogger(__name__)

SAVED_MODEL = "saved_model.pb"
_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Hollow:
    """A frozen graph without its weights, which are most of its bytes: so nodes can be renamed cheaply."""

    graph_def: Any
    """A GraphDef, to which `fill` adds the weights."""
    entries: tuple[str, ...]
    """The tensors that the function's arguments enter by, in order."""
    weights: Mapping[int, Any]
    """Index of a node in the graph -> the variable or tensor whose value it gets."""


def freeze(function: Any) -> Hollow:
    """Return the graph of a concrete function; `fill` then replaces its variables by constants.

    Calls are inlined, but nothing is optimized, so that every op of the model can still be seen. Raises
    ModelError for a model with a loop.
    """
    graph_def = _run_inline_graph_optimization(function, True, True)
    if any(node.op in ("Enter", "RefEnter", "NextIteration") for node in graph_def.node):
        raise ModelError(
            "the model has a loop, as recurrent layers do",
            expected="a feed-forward network",
            remedy="save the part of the model in front of it",
        )
    handles = {id(variable.handle): variable for variable in function.graph.variables}
    captured = {inner.op.name: handles.get(id(outer), outer) for outer, inner in function.graph.captures}
    if graph_def.library.function or not _read_variables(graph_def, captured):
        return _freeze_whole(function)
    _drop_unread(graph_def, [tensor.op.name for tensor in function.outputs])
    _drop_ends(graph_def)
    n_arguments = len(function.inputs) - len(function.captured_inputs)
    return Hollow(
        graph_def,
        tuple(tensor.name for tensor in function.inputs[:n_arguments]),
        {at: captured[node.name] for at, node in enumerate(graph_def.node) if node.name in captured},
    )


def _read_variables(graph_def: Any, captured: Mapping[str, Any]) -> bool:
    """Turn nodes that read a variable into identities of its value, in place.

    Return whether no other use of a variable is left. `captured` maps nodes to the variables and tensors
    that a function takes from outside.
    """
    types = {name: value.dtype for name, value in captured.items() if hasattr(value, "handle")}
    view = GraphView(graph_def)
    for name in view.order:
        node = view.nodes[name]
        variable = next((types[node_of(t)] for t in node.input if node_of(t) in types), None)
        if name in captured or variable is None:
            continue
        if node.op not in ("Identity", "ReadVariableOp"):
            return False
        if node.op == "Identity":  # it passes on the variable's handle; its readers now get the value
            types[name] = variable
        node.attr["T"].type = tf.as_dtype(variable).as_datatype_enum
        make_identity(node, node.input[0])
    return not any(node.op in ("VariableV2", "VarHandleOp") for node in graph_def.node)


def _freeze_whole(function: Any) -> Hollow:
    """Return the graph as TensorFlow converts it: this handles loops, but takes several times the memory."""
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=True, aggressive_inlining=True)
    entries = tuple(tensor.name for tensor in frozen.inputs if tensor.dtype != tf.resource)
    graph_def = frozen.graph.as_graph_def()
    _drop_ends(graph_def)
    return Hollow(graph_def, entries, {})


def _drop_unread(graph_def: Any, outputs: Sequence[str]) -> None:
    """Remove nodes that no output depends on, in place: a function may hold layers of another output."""
    view = GraphView(graph_def)
    if not outputs or not view.nodes.keys() >= set(outputs):  # inlining may rename an output
        return
    read = frozenset[str]().union(*map(view.ancestors, outputs))
    for at in reversed(range(len(graph_def.node))):
        node = graph_def.node[at]
        if node.name not in read and node.op != "Placeholder":
            del graph_def.node[at]
        elif node.name in read:
            node.input[:] = [name for name in node.input if name[0] != "^" or name[1:] in read]


def _drop_ends(graph_def: Any) -> None:
    """Remove the identities that only name a function's outputs, in place.

    An identity behind an inner layer would be taken for that layer's last op.
    """
    view = GraphView(graph_def)
    ends: set[str] = set()
    for name in reversed(view.order):
        if view.op(name) == "Identity" and ends.issuperset(view.consumers(name)):
            ends.add(name)
    for at in reversed(range(len(graph_def.node))):
        if graph_def.node[at].name in ends:
            del graph_def.node[at]


def fill(graph_def: Any, weights: Mapping[int, Any]) -> Any:
    """Put the values of variables into a graph, in place, and return the graph."""
    # The largest come first: each is copied once, and that copy fits best while the graph is small.
    for at, variable in sorted(weights.items(), key=lambda each: -each[1].shape.num_elements()):
        make_constant(graph_def.node[at], _value(variable))
    return graph_def


def _value(variable: Any) -> NDArray[Any]:
    """Return the value of a variable or tensor, without a copy where NumPy can share its memory."""
    tensor = variable.read_value() if hasattr(variable, "read_value") else variable
    try:
        return np.asarray(memoryview(tensor))
    except (TypeError, ValueError, BufferError):  # a type of TensorFlow's own, like bfloat16
        return np.asarray(tensor.numpy())


def read_saved_model(folder: Path, signature: str | None = None) -> Frozen:
    """Return the model that a signature of a SavedModel folder runs; raises ModelError.

    Without `signature`, that is serving_default, or the only signature. A model of TensorFlow 1 without
    signatures is read from its graph.
    """
    tags = _checked_tags(folder)
    try:
        loaded = tf.saved_model.load(str(folder), tags=tags)
    except Exception as error:  # damaged files raise errors of many types
        raise ModelError(f"{folder} cannot be read as a SavedModel: {first_line(error)}") from error
    signatures = dict(getattr(loaded, "signatures", {}))
    if not signatures and not signature and hasattr(loaded, "prune"):
        function, keys = _whole(loaded, folder), []
    else:
        function = signatures[_chosen(signatures, signature, folder)]
        keys = sorted(function.structured_input_signature[1])
    try:
        hollow = freeze(function)
        graph_def, entries = fill(hollow.graph_def, hollow.weights), hollow.entries
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    except Exception as error:  # TensorFlow raises many types on functions that it cannot freeze
        raise ModelError(f"{folder} cannot be frozen: {first_line(error)}") from error
    aliases = dict(zip(keys, entries, strict=False))
    return Frozen(
        folder.resolve().name,
        folder_sha256(folder),
        graph_def,
        input_tensor=entries[0] if len(entries) == 1 else None,
        aliases=aliases,
    )


def _chosen(signatures: Mapping[str, Any], wanted: str | None, folder: Path) -> str:
    """Return the signature to read: the named one, serving_default, or the only one, with a warning."""
    name = wanted or (_SIGNATURE if _SIGNATURE in signatures else "")
    if name in signatures:
        return name
    if not name and len(signatures) == 1:
        only = next(iter(signatures))
        log.warning("%s has no signature %s; read by its only one, %s", folder, _SIGNATURE, only)
        return only
    raise ModelError(
        f"{folder} has no signature {wanted or _SIGNATURE}",
        found="the signatures " + (", ".join(sorted(signatures)) or "(none)"),
        expected=_SIGNATURE,
        remedy=f"name one with --signature, like --signature {min(signatures)}"
        if signatures
        else "export it with a signature",
    )


def _whole(loaded: Any, folder: Path) -> Any:
    """Return the graph of a SavedModel of TensorFlow 1 as a function of its float placeholders."""
    operations = loaded.graph.get_operations()
    feeds = [
        op.outputs[0] for op in operations if op.type == "Placeholder" and op.outputs[0].dtype.is_floating
    ]
    moving = {tensor.op.name for tensor in feeds}
    for op in operations:
        if any(tensor.op.name in moving for tensor in op.inputs):
            moving.add(op.name)
    ends = [
        op.outputs[0]
        for op in operations
        if op.name in moving
        and op.outputs
        and op.outputs[0].dtype.is_floating
        and not op.outputs[0].consumers()
    ]
    if not feeds or not ends:
        raise ModelError(
            f"{folder} has no signature, and no input of floats", remedy="export it with a signature"
        )
    log.warning(
        "%s has no signature; its graph is read from %s on", folder, ", ".join(t.op.name for t in feeds)
    )
    return loaded.prune(feeds, ends)


def _checked_tags(folder: Path) -> list[str] | None:
    """Return the tags of the graph to load, None for TensorFlow's default; raises ModelError.

    Reading a SavedModel runs part of it. So ModelError is also raised where an op would read or write files,
    use the network or run code.
    """
    saved = SavedModel()
    try:
        saved.ParseFromString((folder / SAVED_MODEL).read_bytes())
    except DecodeError as error:
        raise ModelError(f"{folder} cannot be read as a SavedModel: {first_line(error)}") from error
    for meta in saved.meta_graphs:
        check_reach(meta.graph_def, str(folder), variables=True)
    tags = [sorted(meta.meta_info_def.tags) for meta in saved.meta_graphs]
    usual = not tags or ["serve"] in tags or len(tags) == 1
    return None if usual else min(tags, key=lambda each: ("train" in each, "serve" not in each, len(each)))


def folder_sha256(folder: Path) -> str:
    """Return the SHA-256 of the names and bytes of all files in a folder, sorted by name."""
    return files_digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()))
