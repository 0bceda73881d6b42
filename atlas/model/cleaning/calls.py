"""Function calls in a graph, inlined: the nodes of a function are placed in a scope named after the call.

Freezing inlines most calls. Calls to be compiled ("jit_compile", which Keras sets for grouped convolutions)
and those in frozen files remain, and layers inside them would be missed.
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.view import tensor_of

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Calls within calls; a function that calls itself would never end.
_DEEPEST = 32
# Even a few functions that call each other twice expand to more nodes than fit in memory.
_MOST_NODES = 200_000


def unfolded(graph_def: Any) -> Any:
    """Return a graph with the calls of its functions inlined; the graph itself where it calls none.

    Raises ModelError where functions call themselves, or expand to too many nodes.
    """
    if not any(_called(node) for node in graph_def.node):
        return graph_def
    # Functions that call others look them up in the current graph.
    with tf.Graph().as_default():
        library = tf.compat.v1.GraphDef(library=graph_def.library, versions=graph_def.versions)
        tf.graph_util.import_graph_def(library, name="")
        return _unfolded(graph_def)


def _unfolded(graph_def: Any) -> Any:
    for _ in range(_DEEPEST):
        functions = {function.signature.name: function for function in graph_def.library.function}
        calls = [node for node in graph_def.node if _called(node) in functions]
        if not calls:
            return graph_def
        graph_def = _once(graph_def, functions)
        if len(graph_def.node) > _MOST_NODES:
            break
    raise ModelError(
        f"the calls of {_called(calls[0])} do not end",
        expected=f"{_MOST_NODES:,} nodes and {_DEEPEST} calls within each other at most",
        remedy="freeze the model again",
    )


def _called(node: Any) -> str:
    """Return the name of the function that a node calls, "" where it calls none."""
    return str(node.attr["f"].func.name) if node.op in _CALLS else ""


def _once(graph_def: Any, functions: dict[str, Any]) -> Any:
    """Return the graph with each call replaced by the nodes of its function."""
    result = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    results: dict[str, str] = {}
    for node in graph_def.node:
        if _called(node) not in functions:
            result.node.append(node)
            continue
        outputs = _unfold(node, functions[_called(node)], result)
        results |= {f"{node.name}:{index}": tensor for index, tensor in enumerate(outputs)}
    controls = {f"^{node.name}" for node in graph_def.node if _called(node) in functions}
    for node in result.node:
        inputs = [_followed(name, results) for name in node.input if name not in controls]
        del node.input[:]
        node.input.extend(inputs)
    return result


def _followed(name: str, results: dict[str, str]) -> str:
    """Return the tensor that replaces an input, followed through calls that return an argument."""
    while name[0] != "^" and tensor_of(name) in results:
        name = results[tensor_of(name)]
    return name


def _unfold(call: Any, function: Any, into: Any) -> list[str]:
    """Add the nodes of a called function to a graph; return the call's output tensors, in order."""
    body, flat = function_def_to_graph_def(function)
    arguments = dict(zip((arg.name for arg in function.signature.input_arg), call.input, strict=False))
    controls = [name for name in call.input if name.startswith("^")]

    def outer(name: str) -> str:
        mark, bare = ("^", name[1:]) if name.startswith("^") else ("", name)
        node, colon, index = bare.partition(":")
        return (
            arguments[node] if node in arguments and not mark else f"{mark}{call.name}/{node}{colon}{index}"
        )

    for node in body.node:
        if node.name in arguments:
            continue
        copy = into.node.add()
        copy.CopyFrom(node)
        copy.name = f"{call.name}/{node.name}"
        copy.input[:] = [*map(outer, node.input), *controls]
    return [outer(flat[function.ret[arg.name]]) for arg in function.signature.output_arg]
