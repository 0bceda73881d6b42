"""Name the nodes of a frozen graph after the Keras layers that they belong to.

While the graph is made, every layer has a unique scope ("k12k"), so that neither TensorFlow's counters nor
its rules for names can make two layers share a name. Then nodes get the users' names:
"k0k/k3k_1/convolution" -> "Conv1/convolution". The second use of a layer is "Conv1#2". Characters that no
node's name may have are written as numbers, see `atlas.core.node_names`.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from atlas.core.node_names import node_name
from atlas.model.graph.backend import tf
from atlas.model.graph.view import GraphView

_TOKEN = re.compile(r"k(\d+)k(?:_(\d+))?")
Scope = tuple[str, ...]


@contextlib.contextmanager
def scopes_of_layers(model: Any) -> Iterator[tuple[str, ...]]:
    """Give each layer of a model, and of its submodels, a unique scope while a graph is made.

    Yield the layers' names, indexed by the number in their scope; the model's own name is "".
    """
    layers = list(dict.fromkeys([model, *model._flatten_layers()]))
    # Operations such as `x + y` have names in a model, but are no layers.
    apart = dict.fromkeys(op for layer in layers for op in getattr(layer, "operations", ()))
    operations = [op for op in apart if op not in set(layers)]
    names = [layer.name for layer in [*layers, *operations]]
    try:
        for number, layer in enumerate(layers):
            _rename(layer, f"k{number}k")
        for number, operation in enumerate(operations, len(layers)):
            operation.call = _scoped(operation.call, f"k{number}k")
        yield ("", *names[1:])
    finally:
        for layer, name in zip(layers, names, strict=False):
            _rename(layer, name)
        for operation in operations:
            del operation.call


def rename_nodes(graph_def: Any, layers: tuple[str, ...], *, keep: str) -> Any:
    """Return a copy of `graph_def` whose nodes are named after the Keras layers that they belong to.

    `layers` are the names of the numbered layers; `keep` is the input tensor, whose name stays. A node
    whose new name would be a duplicate keeps its old one.
    """
    fixed = keep.partition(":")[0]
    names = [node.name for node in graph_def.node if node.name != fixed]
    paths = _paths(names, GraphView(graph_def).descendants(keep), layers)
    proposed = {
        name: node_name(paths[scope], "/".join(rest)) for name in names for scope, rest in [_parted(name)]
    }
    return _renamed(graph_def, _one_to_one(proposed, {fixed}))


def _rename(layer: Any, name: str) -> None:
    try:
        layer.name = name
    except AttributeError:  # a layer of Keras 2
        layer._name = name


def _scoped(call: Callable[..., Any], scope: str) -> Callable[..., Any]:
    def scoped(*args: Any, **kwargs: Any) -> Any:
        with tf.name_scope(scope):
            return call(*args, **kwargs)

    return scoped


def _parted(name: str) -> tuple[Scope, Scope]:
    """Return the scopes of layers that a node's name begins with, and the rest of the name."""
    parts = name.split("/")
    depth = next((i for i, part in enumerate(parts) if not _TOKEN.fullmatch(part)), len(parts))
    return tuple(parts[:depth]), tuple(parts[depth:])


def _paths(names: list[str], moving: frozenset[str], layers: tuple[str, ...]) -> dict[Scope, Scope]:
    """Return the users' names for each scope; a layer's second use in the enclosing scope is "name#2"."""
    scopes = {scope[:depth] for scope, _ in map(_parted, names) for depth in range(len(scope) + 1)}
    with_ops = {
        scope[:depth] for name in moving for scope, _ in [_parted(name)] for depth in range(len(scope) + 1)
    }
    paths: dict[Scope, Scope] = {(): ()}
    uses: Counter[Scope] = Counter()
    # Enclosing scopes come first. Uses of a layer come in order, those without an op on the image last.
    order = sorted(scopes - {()}, key=lambda s: (len(s), s not in with_ops, [_numbers(part) for part in s]))
    for scope in order:
        layer = layers[_numbers(scope[-1])[0]]
        around = paths[scope[:-1]]
        path = (*around, layer) if layer else around
        uses[path] += 1 if layer else 0
        paths[scope] = path if uses[path] < 2 else (*around, f"{layer}#{uses[path]}")
    return paths


def _numbers(part: str) -> tuple[int, int]:
    """Return the number of a scope's layer, and TensorFlow's count of its earlier uses."""
    match = _TOKEN.fullmatch(part)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def _one_to_one(proposed: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Return the renaming, old name -> new one, without new names that would occur twice."""
    counts = Counter(proposed.values())
    names = {old: new for old, new in proposed.items() if counts[new] == 1}
    while clash := {old for old, new in names.items() if new in taken | (proposed.keys() - names.keys())}:
        names = {old: new for old, new in names.items() if old not in clash}
    return names


def _renamed(graph_def: Any, names: Mapping[str, str]) -> Any:
    renamed = type(graph_def)()
    renamed.CopyFrom(graph_def)
    for node in renamed.node:
        node.name = names.get(node.name, node.name)
        inputs = [_renamed_input(name, names) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
    return renamed


def _renamed_input(name: str, names: Mapping[str, str]) -> str:
    mark = "^" if name.startswith("^") else ""
    node, colon, index = name.removeprefix("^").partition(":")
    return f"{mark}{names.get(node, node)}{colon}{index}"
