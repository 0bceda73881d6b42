"""A GraphDef from anywhere -> a Network: made ready, its layers found, the rest cut off."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.errors import ModelError, nearest
from atlas.model.admission import IMAGE_VALUES, check_graph, check_reach
from atlas.model.backend import tf
from atlas.model.graph import GraphView, node_of, tensor_of
from atlas.model.inference import check_axes, check_placeholders, keep, ready
from atlas.model.layers import Part, find_parts, layers_of, output_part, terminal_parts
from atlas.model.network import Network, Shape, static_shapes
from atlas.model.receptive_field import receptive_fields
from atlas.model.tokens import as_maps

log = logging.getLogger(__name__)

# A range is not written in a graph; this is what an image without any preprocessing has.
PLAIN_RANGE = (0.0, 1.0)


@dataclass(frozen=True)
class Frozen:
    """What a reader found in a source; None where the source does not tell.

    `input_shape` is (h, w, c) with None for an unknown length; `labels` one line a class.
    """

    name: str
    sha256: str
    graph_def: Any
    input_tensor: str | None = None
    input_shape: tuple[int | None, ...] | None = None
    value_range: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()


def network_of(frozen: Frozen) -> Network:
    """Return the network in a frozen graph; raises ModelError where it is none the atlas can show.

    Labels are kept when there is one for each channel of the output, or more; else they are dropped,
    with a warning in the log.
    """
    check_graph(frozen.graph_def, frozen.name)
    entry = input_of(frozen.graph_def, frozen.input_tensor, frozen.name)
    size = _input_shape(frozen, entry)
    graph_def = ready(frozen.graph_def, entry)
    check_axes(graph_def)
    shapes = static_shapes(graph_def, entry, size)
    rowed = as_maps(graph_def, entry, shapes)
    if rowed is not graph_def:
        graph_def, shapes = rowed, static_shapes(rowed, entry, size)
    parts = find_parts(GraphView(graph_def), entry, shapes)
    if not parts:
        raise ModelError(f"{frozen.name} has no layers", expected=f"convolutions after {entry}")
    graph_def = keep(graph_def, [entry, *(node for part in parts for node in part.nodes)])
    check_placeholders(graph_def, entry)
    check_reach(graph_def, frozen.name)
    return _assembled(frozen, graph_def, parts, entry=entry, size=size, shapes=shapes)


def _assembled(
    frozen: Frozen,
    graph_def: Any,
    parts: Sequence[Part],
    *,
    entry: str,
    size: tuple[int, int, int],
    shapes: Mapping[str, Shape],
) -> Network:
    view = GraphView(graph_def)
    fields = receptive_fields(view, entry, shapes)
    output = output_part(view, parts, len(frozen.labels))
    end = output or terminal_parts(view, parts)[-1]
    layers = layers_of(view, parts, frozenset(view.trunk(node_of(entry), end.node)), fields, shapes)
    return Network(
        name=frozen.name,
        sha256=frozen.sha256,
        graph_def=graph_def,
        input_tensor=entry,
        input_shape=size,
        value_range=_value_range(frozen),
        layers=layers,
        labels=_labels(frozen, output),
        output=layers[parts.index(output)].name if output else None,
    )


def input_of(graph_def: Any, name: str | None, model: str) -> str:
    """Return the tensor that images enter by: the named one, else the only float placeholder."""
    nodes = {node.name: node for node in graph_def.node}
    if name:
        if node_of(name) not in nodes:
            remedy = nearest(node_of(name), _image_placeholders(graph_def) or nodes)
            raise ModelError(f"{model} has no input {name!r}", remedy=remedy)
        return tensor_of(name)
    found = _image_placeholders(graph_def)
    if len(found) != 1:
        raise ModelError(
            f"the input of {model} is not clear",
            found="the placeholders " + (", ".join(found) or "(none)"),
            expected="one",
            remedy="name it with --input, like --input data:0",
        )
    return tensor_of(found[0])


def _image_placeholders(graph_def: Any) -> list[str]:
    """Return the float placeholders; those of rank 4 alone where there are any."""
    float32 = tf.float32.as_datatype_enum
    entries = [n for n in graph_def.node if n.op in ("Placeholder", "PlaceholderV2")]
    found = [node for node in entries if node.attr["dtype"].type == float32]
    maps = [node for node in found if len(node.attr["shape"].shape.dim) == 4]
    return [node.name for node in maps or found]


def _input_shape(frozen: Frozen, entry: str) -> tuple[int, int, int]:
    """Return (h, w, c): what the source tells, completed from the placeholder."""
    node = next(node for node in frozen.graph_def.node if node.name == node_of(entry))
    drawn = [int(d.size) if d.size > 0 else None for d in node.attr["shape"].shape.dim][1:]
    told = list(frozen.input_shape or [None] * 3)
    drawn = drawn if len(drawn) == 3 else [None] * 3
    shape = [a if a is not None else b for a, b in zip(told, drawn, strict=True)] if len(told) == 3 else told
    lengths = [length for length in shape if isinstance(length, int) and length > 0]
    if len(shape) != 3 or len(lengths) != 3 or math.prod(lengths) > IMAGE_VALUES:
        raise ModelError(
            f"the size of the images that {frozen.name} reads is not known",
            found=f"{shape} for (h, w, c)",
            expected=f"three whole numbers above 0, {IMAGE_VALUES:,} values at most",
            remedy="give it with --input-shape, like 224,224,3",
        )
    return lengths[0], lengths[1], lengths[2]


def _value_range(frozen: Frozen) -> tuple[float, float]:
    if frozen.value_range is None:
        log.warning("%s does not tell its value range; taken to be 0 to 1 (see --value-range)", frozen.name)
        return PLAIN_RANGE
    return checked_range(frozen.value_range, frozen.name)


def checked_range(value: Any, model: str) -> tuple[float, float]:
    """Return (low, high) as floats, or raise ModelError: two different finite numbers are needed."""
    try:
        low, high = (float(v) for v in value)
        if low != high and abs(low) < float("inf") and abs(high) < float("inf"):
            return low, high
    except (TypeError, ValueError):
        pass
    raise ModelError(
        f"the value range of {model} is wrong",
        found=repr(value),
        expected="two different numbers, the values of black and of white, like 0,255",
    )


def _labels(frozen: Frozen, output: Part | None) -> tuple[str, ...]:
    if output is None or not frozen.labels:
        return ()
    if len(frozen.labels) >= output.n_channels:
        return frozen.labels
    log.warning("%s: %d labels for %d classes; left out", frozen.name, len(frozen.labels), output.n_channels)
    return ()
