"""Ops of ONNX models that the atlas does not read: all of a model are named in one error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.channels_first.onnx_folding import MEASURES
from atlas.model.channels_first.onnx_names import scope_of
from atlas.model.channels_first.onnx_ops import ONNX, QUANTIZED, REFUSED
from atlas.model.channels_first.op_tables import unreadable


def op_name(node: Any) -> str:
    """Return an op's name in the table: "Conv", "com.microsoft.FusedConv"."""
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else str(node.op_type)


def check_ops(nodes: Sequence[Any], moving: Iterable[str], source: str) -> None:
    """Raise ModelError for ops that cannot be written; `moving` are tensors that depend on the image."""
    reached, unknown = set(moving), dict[str, list[Any]]()
    for node in nodes:
        if not reached.intersection(tensors_read(node)) or node.op_type in MEASURES:
            continue
        reached.update(node.output)
        # Which branch of a choice is taken may follow from constants; its ops are checked when it is.
        chosen = node.op_type == "If" and not reached.intersection(node.input)
        if op_name(node) not in ONNX and not chosen:
            unknown.setdefault(op_name(node), []).append(node)
    if not unknown:
        return
    if any(name.rpartition(".")[2] in QUANTIZED for name in unknown):
        raise ModelError(
            f"{source} is quantized",
            found=", ".join(unknown),
            expected="a network that computes with floats",
            remedy="name the model that it was made from",
        )
    raise unreadable(
        source,
        {
            f"{name}{_why(name)}": [scope_of(n, lambda _: True) for n in found]
            for name, found in unknown.items()
        },
    )


def needed(nodes: Sequence[Any], outputs: set[str]) -> list[Any]:
    """Return the nodes that lead to outputs, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(tensors_read(node))
    return kept[::-1]


def tensors_read(node: Any) -> Iterable[str]:
    """Yield the tensors that a node reads, also inside of its graphs."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from tensors_read(inner)
        yield from (output.name for output in attribute.g.output)


def _why(name: str) -> str:
    return f", {REFUSED[name]}" if name in REFUSED else ""
