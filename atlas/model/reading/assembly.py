"""A GraphDef from any source -> a Network: the graph is cleaned, layers are found, the rest is cut off."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from atlas.core.errors import ModelError
from atlas.core.preprocessing import Preprocessing
from atlas.model.cleaning.batches import bound_nodes, free_batch
from atlas.model.cleaning.free_sizes import free_sizes
from atlas.model.cleaning.importing import static_shapes
from atlas.model.cleaning.inference import check_axes, check_placeholders, cut, ready
from atlas.model.cleaning.inputs import drawn_shape, input_of, turn_channels_last
from atlas.model.cleaning.mixing import check_rows, may_mix
from atlas.model.cleaning.rewriting import check_quantized, join_dilated
from atlas.model.graph.admission import check_graph, check_image_size, check_random, check_reach, lost_numbers
from atlas.model.graph.view import GraphView, node_of
from atlas.model.layers.listing import LayerPart, find_parts, layers_of, output_part, terminal_parts
from atlas.model.layers.tokens import as_maps
from atlas.model.network import Network
from atlas.model.positions.axes import Shape
from atlas.model.positions.layout import Layouts
from atlas.model.positions.receptive_field import receptive_fields
from atlas.model.reading.frozen import PLAIN_RANGE, Frozen
from atlas.model.reading.image_range import range_of_type, read_range
from atlas.model.reading.preprocessing import prepared

__all__ = ["Frozen", "network_of"]

log = logging.getLogger(__name__)
# Apart, because the report of `info` has the notes.
log_of_notes = log.getChild("notes")


def network_of(frozen: Frozen) -> Network:
    """Return the network in a frozen graph; raises ModelError for a graph that the atlas cannot show.

    The graph is changed in place, since it may fill most of the memory. Labels are kept where there
    are at least as many as channels of the output; else they are dropped, with a warning in the log.
    """
    check_graph(frozen.graph_def, frozen.name)
    check_quantized(frozen.graph_def, frozen.name)
    entry = input_of(frozen.graph_def, frozen.input_tensor, frozen.name, frozen.aliases)
    turn_channels_last(frozen.graph_def, entry)
    size = _input_shape(frozen, entry)
    drawn, whole = drawn_shape(frozen.graph_def, entry), range_of_type(frozen.graph_def, entry)
    graph_def, notes = ready(frozen.graph_def, entry, size, frozen.held)
    check_axes(graph_def)
    join_dilated(graph_def, entry, size)
    freed = _free(graph_def, entry, size, drawn or (None, None, None, None))
    reading = read_range(frozen, graph_def, entry, size, whole)
    if frozen.prepare_for is not None:
        prepared(graph_def, entry, frozen.prepare_for(size[2]))
    shapes = static_shapes(graph_def, entry, size)
    rowed = as_maps(graph_def, entry, shapes)
    if rowed is not graph_def:
        graph_def, shapes = rowed, static_shapes(rowed, entry, size)
    parts = find_parts(GraphView(graph_def), entry, shapes)
    if not parts:
        raise ModelError(f"{frozen.name} has no layers", expected=f"convolutions after {entry}")
    cut(graph_def, [entry, *(node for part in parts for node in part.nodes)])
    free_sizes(graph_def, shapes)
    check_placeholders(graph_def, entry)
    check_reach(graph_def, frozen.name)
    check_random(graph_def, frozen.name)
    view = GraphView(graph_def)
    if freed or may_mix(view, entry, shapes):
        _check_apart(view, graph_def, entry, size, parts, reading.value_range)
    network = _assembled(frozen, view, graph_def, parts, entry=entry, size=size, shapes=shapes)
    notes = (*frozen.notes, *reading.notes, *notes, *lost_numbers(view))
    for note in notes:
        log_of_notes.warning("%s: %s", frozen.name, note)
    return replace(
        network,
        value_range=reading.value_range,
        range_source=reading.source,
        preprocessing=_preprocessing(frozen, reading.value_range, size[2]),
        notes=notes,
    )


def _preprocessing(frozen: Frozen, value_range: tuple[float, float], channels: int) -> Preprocessing:
    """Return how photographs become the input of a network whose images have this range."""
    order: Literal["rgb", ""] = "rgb" if channels == 3 else ""
    plain = Preprocessing(frozen.resizing, value_range, channels=order)
    if frozen.prepare_for is None:
        return plain
    prepare = frozen.prepare_for(channels)
    return replace(
        plain,
        value_range=prepare.image_range if prepare.is_range else value_range,
        mean=prepare.mean,
        std=prepare.std,
        channels="bgr" if prepare.is_backwards else order,
    )


def _free(graph_def: Any, entry: str, size: tuple[int, int, int], drawn: tuple[int | None, ...]) -> bool:
    """Let the graph take any number of images; return whether its batch or image size was fixed before.

    `drawn` is the shape (n, h, w, c) that its input had. An image size counts if it differs from `size`.
    """
    batch = drawn[0]
    bound = bound_nodes(GraphView(graph_def), entry, batch or 1)
    if bound:
        shapes = static_shapes(graph_def, entry, size, batch=batch or 1)
        free_batch(graph_def, entry, shapes, batch or 1)
    resized = any(a is not None and a != b for a, b in zip(drawn[1:3], size[:2], strict=True))
    return bool(bound) or batch is not None or resized


def _check_apart(
    view: GraphView,
    graph_def: Any,
    entry: str,
    size: tuple[int, int, int],
    parts: Sequence[LayerPart],
    value_range: tuple[float, float],
) -> None:
    """Raise ModelError, naming the first such layer, where a layer mixes the images of a batch."""
    ends = [part.tensor for part in terminal_parts(view, parts)]
    try:
        check_rows(graph_def, entry, size, ends, value_range)
    except ModelError:
        check_rows(graph_def, entry, size, [part.tensor for part in parts], value_range)
        raise


def _assembled(
    frozen: Frozen,
    view: GraphView,
    graph_def: Any,
    parts: Sequence[LayerPart],
    *,
    entry: str,
    size: tuple[int, int, int],
    shapes: Mapping[str, Shape],
) -> Network:
    fields = receptive_fields(Layouts(view, shapes, entry))
    output = output_part(view, parts, len(frozen.labels))
    end = output or terminal_parts(view, parts)[-1]
    layers = layers_of(view, parts, frozenset(view.trunk(node_of(entry), end.node)), fields, shapes)
    return Network(
        name=frozen.name,
        sha256=frozen.sha256,
        graph_def=graph_def,
        input_tensor=entry,
        input_shape=size,
        value_range=PLAIN_RANGE,
        layers=layers,
        labels=_labels(frozen, output),
        output=layers[parts.index(output)].name if output else None,
    )


def _input_shape(frozen: Frozen, entry: str) -> tuple[int, int, int]:
    """Return (h, w, c) from the source, with unknown lengths taken from the placeholder."""
    drawn = (drawn_shape(frozen.graph_def, entry) or (None, None, None, None))[1:]
    stated = list(frozen.input_shape or [None] * 3)
    shape = stated
    if len(stated) == 3:
        shape = [a if a is not None else b for a, b in zip(stated, drawn, strict=True)]
    lengths = [length for length in shape if isinstance(length, int) and length > 0]
    if len(shape) != 3 or len(lengths) != 3:
        raise ModelError(
            f"the size of the images that {frozen.name} reads is not known",
            found=f"{shape} for (h, w, c)",
            expected="three whole numbers above 0",
            remedy="give it with --input-shape (input_shape in Python), like 224,224,3",
        )
    check_image_size(lengths, frozen.name)
    return lengths[0], lengths[1], lengths[2]


def _labels(frozen: Frozen, output: LayerPart | None) -> tuple[str, ...]:
    if output is None or not frozen.labels:
        return ()
    if len(frozen.labels) >= output.n_channels:
        return frozen.labels
    log.warning("%s: %d labels for %d classes; left out", frozen.name, len(frozen.labels), output.n_channels)
    return ()
