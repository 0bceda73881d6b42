"""A GraphDef prepared for inference: training switches resolved, constants folded, unused nodes removed.

The resulting graph holds only nodes on which a requested tensor depends, one placeholder (the image), and
plain ops: no control edges, no Switch or Merge, no IdentityN, no old Concat.
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

# Ops of random numbers are not folded, which would freeze a single draw.
_UNFOLDABLE = frozenset({"RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial"})


def ready(
    graph_def: Any, input_tensor: str, size: tuple[int, int, int], held: Held | None = None
) -> tuple[Any, tuple[str, ...]]:
    """Prepare `graph_def` for inference on `input_tensor`, in place; return it and notes on assumptions.

    Images are [h, w, c] = `size`; the input becomes a float placeholder for any number of them. Boolean
    placeholders (training switches) are set to False; others get constants as `held` says, or are left for
    `check_placeholders` to report. Raises ModelError when the graph cannot be read.
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
    """Remove the nodes on which no tensor in `wanted` depends, and sort the rest, in place."""
    view = GraphView(graph_def)
    needed = _needed(view, wanted)
    place = {name: at for at, name in enumerate(name for name in view.order if name in needed)}
    graph_def.node.sort(key=lambda node: place.get(node.name, len(place)))
    del graph_def.node[len(place) :]


def keep(graph_def: Any, wanted: Iterable[str]) -> Any:
    """Return the part of `graph_def` on which the tensors `wanted` depend, in topological order."""
    view = GraphView(graph_def)
    needed = _needed(view, wanted)
    part = tf.compat.v1.GraphDef()
    part.versions.CopyFrom(graph_def.versions)
    part.library.CopyFrom(graph_def.library)
    part.node.extend(view.nodes[name] for name in view.order if name in needed)
    return part


def _needed(view: GraphView, wanted: Iterable[str]) -> set[str]:
    needed = set(map(node_of, wanted))
    for name in reversed(view.order):
        if name in needed:
            needed.update(map(node_of, view.inputs(name)))
    return needed


def check_placeholders(graph_def: Any, input_tensor: str) -> None:
    """Raise ModelError when the graph has placeholders other than the image."""
    others = [n.name for n in graph_def.node if n.op in PLACEHOLDERS and n.name != node_of(input_tensor)]
    if others:
        raise ModelError(
            "the layers depend on more than the image",
            found="the placeholders " + ", ".join([node_of(input_tensor), *others]),
            expected="one",
            remedy=f"name the image with --input {node_of(input_tensor)}: the others are then held at zero",
        )


def check_axes(graph_def: Any) -> None:
    """Raise ModelError when an op has channels before rows (NCHW)."""
    for node in graph_def.node:
        if "data_format" in node.attr and node.attr["data_format"].s.startswith(b"NC"):
            raise ModelError(
                f"{node.name} ({node.op}) is laid out for GPUs",
                found=node.attr["data_format"].s.decode(),
                expected="NHWC",
                remedy="export the model with channels last",
            )


def _tidy(node: Any) -> None:
    """Remove from a node what only training needs: device, control edges, private attributes."""
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
    """Replace each Switch and Merge by an Identity on the path taken in inference."""
    view = GraphView(graph_def)
    dead: set[str] = set()
    for name in view.order:
        node = view.nodes[name]
        if node.op == "Switch":
            condition = view.constant(view.inputs(name)[1])
            if condition is None:
                continue
            dead.add(f"{name}:{0 if condition else 1}")
            _rewire(view, f"{name}:1", f"{name}:0")
            make_identity(node, node.input[0])
        elif node.op == "Merge":
            inputs = zip(view.inputs(name), node.input, strict=True)
            alive = [tensor for full_name, tensor in inputs if full_name not in dead]
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
    """Let the readers of an IdentityN, which wraps a custom gradient, read its inputs."""
    packs = {node.name: list(node.input) for node in graph_def.node if node.op == "IdentityN"}
    for node in graph_def.node:
        for index, tensor in enumerate(node.input):
            while node_of(tensor) in packs:
                tensor = packs[node_of(tensor)][int(tensor_of(tensor).partition(":")[2])]
            node.input[index] = tensor
    for node in graph_def.node:
        if node.op == "IdentityN":  # it may be an end of the graph, so its name is kept
            node.attr["T"].type = node.attr["T"].list.type[0]
            make_identity(node, node.input[0])


def _fold(graph_def: Any, input_tensor: str) -> Any:
    """Replace nodes that do not depend on the image by constants."""
    view = GraphView(graph_def)
    moving = view.descendants(input_tensor)
    random = _drawn(view)
    edge = [name for name in view.order if name not in random and _is_edge(view, name, moving)]
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
    """Return whether a node is computed from constants alone, but is read by one that is not."""
    if name in moving or view.is_constant(name):
        return False
    if not any(reader in moving for reader in view.consumers(name)):
        return False
    outputs = {tensor for reader in view.consumers(name) for tensor in view.inputs(reader)}
    return not any(node_of(tensor) == name and not tensor.endswith(":0") for tensor in outputs)


def _drawn(view: GraphView) -> set[str]:
    """Return the nodes that depend on random numbers or on placeholders."""
    random: set[str] = set()
    for name in view.order:
        if view.op(name) in _UNFOLDABLE | PLACEHOLDERS or not random.isdisjoint(
            map(node_of, view.inputs(name))
        ):
            random.add(name)
    return random
