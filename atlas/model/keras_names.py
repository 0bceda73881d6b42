"""Node names as Keras users know them: "net_1/Conv1_1/convolution" -> "Conv1/convolution"."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

_COUNTER = re.compile(r"_\d+$")


def rename_nodes(graph_def: Any, model: Any, *, keep: str) -> Any:
    """Return a copy of `graph_def`, each node named below the Keras layer that it belongs to.

    The model's own scope goes, and the counters that TensorFlow adds to scopes; `keep` is the input
    tensor, whose name stays. A name that would be there twice stays as it was.
    """
    fixed = keep.partition(":")[0]
    scopes = {model.name, *(n.partition("/")[0] for n in _names(graph_def) if _uncounted(n) == model.name)}
    short = {name: _below(name, scopes) for name in _names(graph_def) if name != fixed}
    told = dict(zip(short, _named(list(short.values()), model), strict=True))
    return _renamed(graph_def, _one_to_one(told, {fixed}))


def _names(graph_def: Any) -> list[str]:
    return [node.name for node in graph_def.node]


def _uncounted(name: str) -> str:
    return _COUNTER.sub("", name.partition("/")[0])


def _below(name: str, scopes: Iterable[str]) -> str:
    first, slash, rest = name.partition("/")
    return rest if slash and first in scopes else name


def _named(names: list[str], model: Any) -> list[str]:
    """Return names whose first component is the name of the model's layer; submodels alike below."""
    layers = {layer.name: layer for layer in model.layers}
    known = _layer_names({name.partition("/")[0] for name in names}, layers)
    groups: dict[str, list[int]] = defaultdict(list)
    result = list(names)
    for index, name in enumerate(names):
        first, slash, rest = name.partition("/")
        if slash and first in known:
            result[index] = f"{known[first]}/{rest}"
            groups[first].append(index)
    for first, members in groups.items():
        if hasattr(layers[known[first]], "layers"):
            below = _named([result[i].partition("/")[2] for i in members], layers[known[first]])
            for index, name in zip(members, below, strict=True):
                result[index] = f"{known[first]}/{name}"
    return result


def _layer_names(scopes: set[str], layers: Mapping[str, Any]) -> dict[str, str]:
    """Return the layer of each scope. "conv2d_1" may be that layer, or the layer "conv2d" counted."""
    mine = {s for s in scopes if s in layers or _uncounted(s) in layers}
    counted = all(_uncounted(s) in layers and s != _uncounted(s) for s in mine)
    return {s: _uncounted(s) if counted or s not in layers else s for s in mine}


def _one_to_one(told: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Return the renaming without the names that would be there twice."""
    wanted = Counter(told.values())
    names = {old: new for old, new in told.items() if wanted[new] == 1}
    while clash := {old for old, new in names.items() if new in taken | (told.keys() - names.keys())}:
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
