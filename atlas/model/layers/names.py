"""Readable, unique names for layers, made from the names of their nodes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from posixpath import commonpath, dirname

from atlas.core.neuron import INPUT
from atlas.core.node_names import shown_name
from atlas.model.graph.ops import ACTIVATION_OPS

# Node names that only repeat the op: "Relu_3", "Conv2D"; other spellings are those of Keras and Slim.
_GENERIC = re.compile(
    rf"(?i)({'|'.join(sorted(ACTIVATION_OPS))}|softmax|leaky_relu|conv2d|convolution|depthwise|matmul|bias_?add|add(v2)?|"
    r"sub|mul|concat(v2)?|identity|fusedbatchnorm(v[23])?|truediv|reshape|(stateful)?partitionedcall)(_\d+)?"
)
# In an exported SavedModel all scopes lie below the call of its signature.
_CALL = "PartitionedCall"
_COUNTER = re.compile(r"_\d+$")
# Scopes of an op that consists of several: a compiled function, a product over the last axis.
_OF_OP = re.compile(r"((Stateful)?PartitionedCall|Tensordot)(_\d+)?")


def readable_names(parts: Sequence[Sequence[str]], ends: Sequence[str] = ()) -> list[str]:
    """Return a name for each part, given as a layer's nodes from its linear op to its activation.

    `ends` are the nodes that compute the layers' tensors: each part's last node unless a softmax follows.

    A layer takes the name of its last node where that has no scope ("mixed3a_1x1"); else the scope that its
    nodes share ("conv1/Conv2D", "conv1/Relu" -> "conv1"), unless other layers are in it; else the scope of
    its first node. The scope that all layers share is left out. A softmax names the classes only where the
    node before it has the softmax's name as a prefix, or is only named after its own op.
    """
    root = _shared_scope(parts)
    relative = [[_below(root, node) for node in nodes] for nodes in parts]
    inner = [_below(root, end) for end in ends] or [nodes[-1] for nodes in relative]
    holds = Counter(scope for nodes in relative for scope in {s for node in nodes for s in _scopes(node)})
    pairs = zip(relative, inner, strict=True)
    readable = [shown_name(_above_op(_name(nodes, end, holds))) for nodes, end in pairs]
    names = _unique(readable, [shown_name(nodes[0]) for nodes in relative])
    return _uncounted(names) if _CALL in root else names


def _above_op(name: str) -> str:
    """Remove the scope of a layer's first op: "conv/PartitionedCall", "dense/Tensordot"."""
    scope, _, last = name.rpartition("/")
    return _above_op(scope) if scope and _OF_OP.fullmatch(last) else name


def _uncounted(names: list[str]) -> list[str]:
    """Remove the number that Keras's export adds to every layer's scope, where every name has one."""
    bare = [_COUNTER.sub("", name) for name in names]
    numbered = all(short != name for short, name in zip(bare, names, strict=True))
    return bare if numbered and len(set(bare)) == len(bare) else names


def _shared_scope(parts: Sequence[Sequence[str]]) -> str:
    # Not of the last nodes: in an export the very last one is an Identity outside of all calls.
    scopes = {dirname(nodes[0]) for nodes in parts}
    return commonpath(scopes) if scopes and "" not in scopes and len(parts) > 1 else ""


def _below(root: str, node: str) -> str:
    short = node.removeprefix(f"{root}/") if root else node
    again = root.rpartition("/")[2] + "/"
    # Slim writes both "InceptionV1/InceptionV1/Mixed_3b/…" and "InceptionV1/Logits/…".
    return short[len(again) :] if root and short.startswith(again) else short


def _scopes(node: str) -> Iterator[str]:
    """Yield the scopes that contain a node, innermost first."""
    while node := dirname(node):
        yield node


def _name(nodes: Sequence[str], end: str, holds: Mapping[str, int]) -> str:
    """Return the name of a part; `holds` counts the parts that have a node in each scope."""
    last = nodes[-1]
    # Prefer "logits" to "prob", but "softmax2" to "softmax2_pre_activation".
    if _is_plain(end) and not end.startswith(last):
        return end
    if _is_plain(last):
        return last
    shared = commonpath([dirname(node) for node in nodes])
    plain = [node for node in (last, *nodes) if _is_plain(node)]
    # A scope with no node directly in it is a submodel: if it has a single layer, take that layer's name.
    is_layer = holds.get(shared) == 1 and any(dirname(node) == shared for node in nodes)
    scope = shared if is_layer else ""
    return scope or dirname(nodes[0]) or shared or (plain[0] if plain else last)


def _is_plain(node: str) -> bool:
    """Return whether a node was named by a person and lies outside any scope."""
    return "/" not in node and not _GENERIC.fullmatch(node)


def _unique(names: list[str], firsts: list[str]) -> list[str]:
    """Give a shared name to the last layer that has it; the others take their first node's name."""
    last = {name: index for index, name in enumerate(names)}
    longer = [name if last[name] == i else firsts[i] for i, name in enumerate(names)]
    # "input" is the image itself; no layer may have that name.
    taken = Counter([INPUT])
    unique: list[str] = []
    for name in longer:
        taken[name] += 1
        while taken[name] > 1 and f"{name}#{taken[name]}" in {*longer, *unique}:
            taken[name] += 1
        unique.append(name if taken[name] == 1 else f"{name}#{taken[name]}")
    return unique
