"""Readable, unique names for layers, from the names of the nodes that each is made of.

TensorFlow allows few characters in a node's name. Others are written there by their numbers: the layer
"Конв" has the node ".>41a.>43e.>43d.>432./convolution".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from posixpath import commonpath, dirname

from atlas.core.neuron import INPUT

# A node called after its op says nothing: "Relu_3", "Conv2D".
_GENERIC = re.compile(
    r"(?i)(conv2d|convolution|depthwise|matmul|biasadd|bias_?add|add(v2)?|sub|mul|relu6?|elu|selu|"
    r"leaky_?relu|sigmoid|softmax|tanh|concat(v2)?|identity|fusedbatchnorm(v[23])?|truediv|reshape|"
    r"(stateful)?partitionedcall)(_\d+)?"
)
# Scopes in an exported SavedModel lie below the call of its signature.
_CALL = "PartitionedCall"
_COUNTER = re.compile(r"_\d+$")
# Scopes of an op that is made of several: a function that is compiled, a product over the last axis.
_OF_OP = re.compile(r"((Stateful)?PartitionedCall|Tensordot)(_\d+)?")
_UNSAFE = re.compile(r"^[._\\-]|[^A-Za-z0-9_.-]")
_NUMBERED = re.compile(r">([0-9a-f]{1,6})\.")


def node_name(layers: Sequence[str], rest: str) -> str:
    """Return the name of a node `rest` below layers of any names; `shown_name` reads it."""
    safe = [_UNSAFE.sub(lambda char: f">{ord(char[0]):x}.", layer) for layer in layers]
    name = "/".join([*safe, rest] if rest else safe)
    return f".{name}" if name.startswith(">") else name


def shown_name(name: str) -> str:
    """Return a node's or scope's name with the characters that stand in it by their numbers."""
    return _NUMBERED.sub(_character, name[1:] if name.startswith(".>") else name)


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else match[0]


def readable_names(parts: Sequence[Sequence[str]], ends: Sequence[str] = ()) -> list[str]:
    """Return one name for each part: the nodes of a layer, from its linear op to its activation.

    `ends` are the nodes that make their tensors, the last of each part unless a softmax follows.

    A last node without a scope names the layer ("mixed3a_1x1"); else the scope that the nodes share
    ("conv1/Conv2D", "conv1/Relu" -> "conv1"), where it is no other layer's; else the scope of the first.
    What all layers share is left out.
    A softmax names the classes only where the node before it is called after it, or after its op.
    """
    root = _shared_scope(parts)
    relative = [[_below(root, node) for node in nodes] for nodes in parts]
    inner = [_below(root, end) for end in ends] or [nodes[-1] for nodes in relative]
    holds = Counter(scope for nodes in relative for scope in {s for node in nodes for s in _scopes(node)})
    told = zip(relative, inner, strict=True)
    shown = [shown_name(_above_op(_name(nodes, end, holds))) for nodes, end in told]
    names = _unique(shown, [shown_name(nodes[0]) for nodes in relative])
    return _uncounted(names) if _CALL in root else names


def _above_op(name: str) -> str:
    """Take off the scope of the op that a layer starts with: "conv/PartitionedCall", "dense/Tensordot"."""
    scope, _, last = name.rpartition("/")
    return _above_op(scope) if scope and _OF_OP.fullmatch(last) else name


def _uncounted(names: list[str]) -> list[str]:
    """Take off the number that Keras's export adds to every layer's scope, where every name has one."""
    bare = [_COUNTER.sub("", name) for name in names]
    numbered = all(short != name for short, name in zip(bare, names, strict=True))
    return bare if numbered and len(set(bare)) == len(bare) else names


def _shared_scope(parts: Sequence[Sequence[str]]) -> str:
    # Not of the last nodes: an export lets the last of all end in what hands its value out of calls.
    scopes = {dirname(nodes[0]) for nodes in parts}
    return commonpath(scopes) if scopes and "" not in scopes and len(parts) > 1 else ""


def _below(root: str, node: str) -> str:
    short = node.removeprefix(f"{root}/") if root else node
    again = root.rpartition("/")[2] + "/"
    # Slim writes "InceptionV1/InceptionV1/Mixed_3b/…" beside "InceptionV1/Logits/…".
    return short[len(again) :] if root and short.startswith(again) else short


def _scopes(node: str) -> Iterator[str]:
    """Yield the scopes that a node lies in, the innermost first."""
    while node := dirname(node):
        yield node


def _name(nodes: Sequence[str], end: str, holds: Mapping[str, int]) -> str:
    """Return the name of one part; `holds` counts the parts that have a node in a scope."""
    last = nodes[-1]
    # "logits" behind "prob", but "softmax2" in front of "softmax2_pre_activation".
    if _is_plain(end) and not end.startswith(last):
        return end
    if _is_plain(last):
        return last
    shared = commonpath([dirname(node) for node in nodes])
    told = [node for node in (last, *nodes) if _is_plain(node)]
    # A scope without nodes of its own holds layers: of a submodel with a single one, that one is named.
    own = holds.get(shared) == 1 and any(dirname(node) == shared for node in nodes)
    alone = shared if own else ""
    return alone or dirname(nodes[0]) or shared or (told[0] if told else last)


def _is_plain(node: str) -> bool:
    """Return whether a node is called by a person, outside of any scope."""
    return "/" not in node and not _GENERIC.fullmatch(node)


def _unique(names: list[str], firsts: list[str]) -> list[str]:
    """Keep a shared name for the last layer that has it; the others take their first node's."""
    last = {name: index for index, name in enumerate(names)}
    longer = [name if last[name] == i else firsts[i] for i, name in enumerate(names)]
    # "input" is the image itself; no layer may be called so.
    taken = Counter([INPUT])
    unique: list[str] = []
    for name in longer:
        taken[name] += 1
        while taken[name] > 1 and f"{name}#{taken[name]}" in {*longer, *unique}:
            taken[name] += 1
        unique.append(name if taken[name] == 1 else f"{name}#{taken[name]}")
    return unique
