"""Calls of functions in a graph, unfolded: what is inside of a function counts as a part of the network.

TensorFlow unfolds most calls itself when a model is frozen, but none that is to be compiled (Keras writes
grouped convolutions so).
"""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import dirname
from typing import Any

from atlas.model.backend import op_definition, tf

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Functions that call each other; one that calls itself never ends.
_MOST_ROUNDS = 32


def inlined(graph_def: Any) -> Any:
    """Return the graph with every call of a function of its own library replaced by the function's nodes.

    A call's node stays as the function's result, so that its name does; `graph_def` stays as it is.
    """
    for _ in range(_MOST_ROUNDS):
        functions = {function.signature.name: function for function in graph_def.library.function}
        calls = [n for n in graph_def.node if n.op in _CALLS and n.attr["f"].func.name in functions]
        if not calls:
            return graph_def
        graph_def = _unfolded(graph_def, functions)
    return graph_def


def _unfolded(graph_def: Any, functions: Mapping[str, Any]) -> Any:
    made = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    taken = {node.name for node in graph_def.node}
    results: dict[str, str] = {}
    for node in graph_def.node:
        function = functions.get(node.attr["f"].func.name) if node.op in _CALLS else None
        if function is None:
            made.node.append(node)
        else:
            results |= _append_body(made, node, function, taken)
    for node in made.node:
        for at, tensor in enumerate(node.input):
            if tensor in results and node.name != tensor:
                node.input[at] = results[tensor]
    return made


def _append_body(made: Any, call: Any, function: Any, taken: set[str]) -> dict[str, str]:
    """Add a function's nodes; return what a call's later outputs are, "call:1" -> tensor."""
    given = [name for name in call.input if not name.startswith("^")]
    known = {arg.name: tensor for arg, tensor in zip(function.signature.input_arg, given, strict=True)}
    scope = dirname(call.name)
    names = {
        node.name: _free(f"{scope}/{node.name}" if scope else node.name, call.name, taken)
        for node in function.node_def
    }
    ops = {node.name: node for node in function.node_def}
    for body in function.node_def:
        node = made.node.add()
        node.CopyFrom(body)
        node.name = names[body.name]
        inputs = [_tensor(name, known, names, ops) for name in body.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(inputs)
    outputs = [_tensor(function.ret[arg.name], known, names, ops) for arg in function.signature.output_arg]
    result = made.node.add(name=call.name, op="Identity", input=outputs[:1])
    result.attr["T"].type = function.signature.output_arg[0].type
    return {f"{call.name}:{at}": tensor for at, tensor in enumerate(outputs) if at}


def _free(wanted: str, call: str, taken: set[str]) -> str:
    name, count = wanted, 0
    while name in taken:
        name, count = f"{call}/{wanted.rpartition('/')[2]}" + (f"_{count}" if count else ""), count + 1
    taken.add(name)
    return name


def _tensor(name: str, known: Mapping[str, str], names: Mapping[str, str], ops: Mapping[str, Any]) -> str:
    """Return a function's tensor, "node:output:index" or an argument, by its name in the graph."""
    if name in known:
        return known[name]
    node, _, rest = name.partition(":")
    output, _, index = rest.partition(":")
    return f"{names[node]}:{_offset(ops[node], output) + int(index or 0)}"


def _offset(node: Any, output: str) -> int:
    """Return how many outputs of a node come before those of this name."""
    before = 0
    definition = op_definition(node.op)
    for arg in definition.output_arg if definition else ():
        if arg.name == output:
            break
        if arg.number_attr:
            before += int(node.attr[arg.number_attr].i)
        elif arg.type_list_attr:
            before += len(node.attr[arg.type_list_attr].list.type)
        else:
            before += 1
    return before
