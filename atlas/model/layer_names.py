"""Readable, unique names for layers, from the names of the nodes that each is made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from posixpath import commonpath, dirname

# A node called after its op says nothing: "Relu_3", "Conv2D".
_GENERIC = re.compile(
    r"(?i)(conv2d|convolution|depthwise|matmul|biasadd|bias_?add|add(v2)?|sub|mul|relu6?|elu|selu|"
    r"leaky_?relu|sigmoid|softmax|tanh|concat(v2)?|identity|fusedbatchnorm(v[23])?|truediv|reshape)(_\d+)?"
)

# Scopes in an exported SavedModel lie below the call of its signature.
_CALL = "PartitionedCall"
_COUNTER = re.compile(r"_\d+$")


def readable_names(parts: Sequence[Sequence[str]]) -> list[str]:
    """Return one name for each part: the nodes of a layer, from its linear op to its activation.

    A last node without a scope names the layer ("mixed3a_1x1"); else the scope that the nodes share
    ("conv1/Conv2D", "conv1/Relu" -> "conv1"); else the scope of the first. What all share is left out.
    """
    root = _shared_scope(parts)
    relative = [[_below(root, node) for node in nodes] for nodes in parts]
    names = _unique([_name(nodes) for nodes in relative], [nodes[0] for nodes in relative])
    return _uncounted(names) if _CALL in root else names


def _uncounted(names: list[str]) -> list[str]:
    """Take off the number that Keras's export adds to every layer's scope, where every name has one."""
    bare = [_COUNTER.sub("", name) for name in names]
    numbered = all(short != name for short, name in zip(bare, names, strict=True))
    return bare if numbered and len(set(bare)) == len(bare) else names


def _shared_scope(parts: Sequence[Sequence[str]]) -> str:
    scopes = {dirname(node) for nodes in parts for node in nodes}
    return commonpath(scopes) if scopes and "" not in scopes and len(parts) > 1 else ""


def _below(root: str, node: str) -> str:
    short = node[len(root) + 1 :] if root else node
    again = root.rpartition("/")[2] + "/"
    # Slim writes "InceptionV1/InceptionV1/Mixed_3b/…" beside "InceptionV1/Logits/…".
    return short[len(again) :] if root and short.startswith(again) else short


def _name(nodes: Sequence[str]) -> str:
    last = nodes[-1]
    if "/" not in last and not _GENERIC.fullmatch(last):
        return last
    shared = commonpath([dirname(node) for node in nodes])
    told = [node for node in (last, *nodes) if "/" not in node and not _GENERIC.fullmatch(node)]
    return shared or dirname(nodes[0]) or (told[0] if told else last)


def _unique(names: list[str], firsts: list[str]) -> list[str]:
    """Keep a shared name for the last layer that has it; the others take their first node's."""
    last = {name: index for index, name in enumerate(names)}
    longer = [name if last[name] == i else firsts[i] for i, name in enumerate(names)]
    taken: Counter[str] = Counter()
    unique = []
    for name in longer:
        taken[name] += 1
        unique.append(name if taken[name] == 1 else f"{name}#{taken[name]}")
    return unique
