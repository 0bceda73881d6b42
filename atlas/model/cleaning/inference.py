"""A GraphDef made ready for inference: training switches resolved, constants folded, the rest cut off.

What leaves here holds only nodes that some wanted tensor depends on, one placeholder (the image), and
ops that say what they compute: no control edges, no Switch and Merge, no IdentityN, no old Concat.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.cleaning.calls import unfolded
from atlas.model.cleaning.inputs import PLACEHOLDERS, Held, hold, open_entry
from atlas.model.cleaning.rewriting import pad_in_front, split_fused
from atlas.model.graph.admission import check_reach, check_sizes
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import make_constant, make_identity
from atlas.model.graph.view import GraphView, node_of, tensor_of

# Random numbers stay random: folding would freeze one draw.
_UNFOLDABLE = frozenset({"RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial"})


def ready(
    graph_def: Any, input_tensor: str, size: tuple[int, int, int], held: Held | None = None
) -> tuple[Any, tuple[str, ...]]:
    """Make `graph_def` ready for inference on `input_tensor`, in place; return it and notes on assumptions.

    Images are [h, w, c] = `size`; the input becomes a float placeholder for any number of them. Boolean
    scalar placeholders (training switches) are off, others are `held`, or stay for `check_placeholders`
    to name. Raises ModelError when the graph cannot be read.
    """
    graph_def = unfolded(graph_def)
    for node in graph_def.node:
        _tidy(node)
        if node.op == "PlaceholderWithDefault" and node.name != node_of(input_tensor):
            node.attr["T"].type = node.attr["dtype"].type
            make_identity(node, node.input[0])
    open_entry(graph_def, input_tensor, size)
    notes = hold(graph_def, input_tensor, held or Held({}), size)
    _switch_training_off(graph_def)
    _resolve_switches(graph_def)
    _unpack_identities(graph_def)
    split_fused(graph_def)
    pad_in_front(graph_def)
    return _fold(graph_def, input_tensor), notes


def cut(graph_def: Any, wanted: Iterable[str]) -> None:
    """Leave in a graph what the tensors `wanted` depend on, in topological order and in place."""
    view = GraphView(graph_def)
    kept = _needed(view, wanted)
    place = {name: at for at, name in enumerate(name for name in view.order if name in kept)}
    graph_def.node.sort(key=lambda node: place.get(node.name, len(place)))
    del graph_def.node[len(place) :]


def keep(graph_def: Any, wanted: Iterable[str]) -> Any:
    """Return the part of `graph_def` that the tensors `wanted` depend on, in topological order."""
    view = GraphView(graph_def)
    kept = _needed(view, wanted)
    part = tf.compat.v1.GraphDef()
    part.versions.CopyFrom(graph_def.versions)
    part.library.CopyFrom(graph_def.library)
    part.node.extend(view.nodes[name] for name in view.order if name in kept)
    return part


def _needed(view: GraphView, wanted: Iterable[str]) -> set[str]:
    kept = set(map(node_of, wanted))
    for name in reversed(view.order):
        if name in kept:
            kept.update(map(node_of, view.inputs(name)))
    return kept


def check_placeholders(graph_def: Any, input_tensor: str) -> None:
    """Raise ModelError when the graph waits for anything but the image."""
    others = [n.name for n in graph_def.node if n.op in PLACEHOLDERS and n.name != node_of(input_tensor)]
    if others:
        raise ModelError(
            "the layers depend on more than the image",
            found="the placeholders " + ", ".join([node_of(input_tensor), *others]),
            expected="one",
            remedy=f"name the image with --input {node_of(input_tensor)}: the others are then held at zero",
        )


def check_axes(graph_def: Any) -> None:
    """Raise ModelError when an op keeps its channels before its rows (NCHW)."""
    for node in graph_def.node:
        if "data_format" in node.attr and node.attr["data_format"].s.startswith(b"NC"):
            raise ModelError(
                f"{node.name} ({node.op}) is laid out for GPUs",
                found=node.attr["data_format"].s.decode(),
                expected="NHWC",
                remedy="export the model with channels last",
            )


def _tidy(node: Any) -> None:
    """Drop what only the trainer needed: device, control edges, private attributes."""
    node.device = ""
    data = [name for name in node.input if not name.startswith("^")]
    del node.input[:]
    node.input.extend(data)
    for key in [key for key in node.attr if key.startswith("_")]:
        del node.attr[key]
    if node.op == "Concat":  # the axis came first until TensorFlow 1.0
        node.op = "ConcatV2"
        del node.input[:]
        node.input.extend(data[1:] + data[:1])
        node.attr["Tidx"].type = tf.int32.as_datatype_enum


def _switch_training_off(graph_def: Any) -> None:
    for node in graph_def.node:
        if (
            node.op in ("Placeholder", "PlaceholderV2")
            and node.attr["dtype"].type == tf.bool.as_datatype_enum
        ):
            make_constant(node, np.array(False))


def _resolve_switches(graph_def: Any) -> None:
    """Replace each Switch and Merge by an Identity of the way that inference takes."""
    view = GraphView(graph_def)
    dead: set[str] = set()
    for name in view.order:
        node = view.nodes[name]
        if node.op == "Switch":
            chosen = view.constant(view.inputs(name)[1])
            if chosen is None:
                continue
            dead.add(f"{name}:{0 if chosen else 1}")
            _rewire(view, f"{name}:1", f"{name}:0")
            make_identity(node, node.input[0])
        elif node.op == "Merge":
            ways = zip(view.inputs(name), node.input, strict=True)
            alive = [tensor for way, tensor in ways if way not in dead]
            make_identity(node, (alive or list(node.input))[0])
        elif any(tensor in dead for tensor in view.inputs(name)):
            dead.update(f"{name}:{index}" for index in range(8))


def _rewire(view: GraphView, old: str, new: str) -> None:
    """Make every reader of the tensor `old` read `new`."""
    for reader in view.consumers(old):
        node = view.nodes[reader]
        for index, tensor in enumerate(node.input):
            if tensor_of(tensor) == old:
                node.input[index] = new


def _unpack_identities(graph_def: Any) -> None:
    """Let the readers of an IdentityN (a custom gradient's wrapping) read what went into it."""
    packs = {node.name: list(node.input) for node in graph_def.node if node.op == "IdentityN"}
    for node in graph_def.node:
        for index, tensor in enumerate(node.input):
            while node_of(tensor) in packs:
                tensor = packs[node_of(tensor)][int(tensor_of(tensor).partition(":")[2])]
            node.input[index] = tensor
    for node in graph_def.node:
        if node.op == "IdentityN":  # an end of the graph: its name lives on
            node.attr["T"].type = node.attr["T"].list.type[0]
            make_identity(node, node.input[0])


def _fold(graph_def: Any, input_tensor: str) -> Any:
    """Replace what does not depend on the image by its value."""
    view = GraphView(graph_def)
    moving = view.descendants(input_tensor)
    drawn = _drawn(view)
    edge = [name for name in view.order if name not in drawn and _is_edge(view, name, moving)]
    if not edge:
        return graph_def
    constant = keep(graph_def, edge)
    check_reach(constant, "the graph")
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(constant, name="")
        check_sizes((tensor for op in graph.get_operations() for tensor in op.outputs), "the graph")
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run([f"{name}:0" for name in edge])
    for name, value in zip(edge, values, strict=True):
        make_constant(view.nodes[name], value)
    return graph_def


def _is_edge(view: GraphView, name: str, moving: frozenset[str]) -> bool:
    """Return whether a node is computed from constants alone and read by something that is not."""
    if name in moving or view.is_constant(name):
        return False
    if not any(reader in moving for reader in view.consumers(name)):
        return False
    outputs = {tensor for reader in view.consumers(name) for tensor in view.inputs(reader)}
    return not any(node_of(tensor) == name and not tensor.endswith(":0") for tensor in outputs)


def _drawn(view: GraphView) -> set[str]:
    """Return the nodes that depend on random numbers or on what a placeholder is fed."""
    drawn: set[str] = set()
    for name in view.order:
        if view.op(name) in _UNFOLDABLE | PLACEHOLDERS or not drawn.isdisjoint(
            map(node_of, view.inputs(name))
        ):
            drawn.add(name)
    return drawn
