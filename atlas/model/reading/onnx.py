"""An ONNX file -> a frozen graph with channels last; nothing here imports onnx before a file is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError, first_line
from atlas.model.channels_first.onnx_folding import onnx_part
from atlas.model.channels_first.onnx_graph import graph_of
from atlas.model.channels_first.onnx_inputs import entry_of
from atlas.model.channels_first.writer import IMAGE
from atlas.model.graph.files import graph_digest
from atlas.model.reading.frozen import Frozen

_EXPECTED = "an ONNX model, whole"
_AGAIN = "copy or export it again"


def read_onnx(path: Path, size: Sequence[int | None] | None = None) -> Frozen:
    """Return the network in an ONNX file, and in the files of weights next to it; raises ModelError.

    `size` is (c, h, w), for lengths that the model leaves open.
    """
    model = _parsed(path)
    _load_weights(model, path)
    entry = entry_of(model.graph, str(path), size)
    graph_def = graph_of(model, str(path), size)
    _, channels, height, width = entry.shape
    return Frozen(
        name=path.stem,
        sha256=graph_digest(graph_def),
        graph_def=graph_def,
        input_tensor=f"{IMAGE}:0",
        input_shape=(height, width, channels),
        aliases={entry.name: f"{IMAGE}:0"},
        is_sized=True,
    )


def _parsed(path: Path) -> Any:
    """Return the model in a file, without weights that lie in other files."""
    try:
        onnx = onnx_part()
    except ImportError as error:
        raise ModelError(
            f"{path} needs the package onnx", found=error, remedy="pip install 'circuit-atlas[onnx]'"
        ) from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf has an error of its own in each of its implementations
        found = "bytes that are damaged, cut off, or of another kind"
        raise ModelError(f"{path} cannot be read", found=found, expected=_EXPECTED, remedy=_AGAIN) from error
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path} holds no network", found="no nodes", expected=_EXPECTED, remedy=_AGAIN)
    return model


def _load_weights(model: Any, path: Path) -> None:
    """Put the weights that lie in other files into a model."""
    helper = onnx_part("external_data_helper")
    outside = [tensor for tensor in _tensors(model.graph) if helper.uses_external_data(tensor)]
    names = sorted({str(helper.ExternalDataInfo(tensor).location) for tensor in outside})
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise ModelError(
            f"{path} has its weights in another file",
            found=f"no {', '.join(missing)} in {path.parent}",
            remedy="put it next to the model, under that name",
        )
    try:
        for tensor in outside:
            helper.load_external_data_for_tensor(tensor, str(path.parent))
    except Exception as error:  # onnx and its C++ part raise errors of their own
        raise ModelError(
            f"the weights of {path} cannot be read: {first_line(error)}",
            found=", ".join(names),
            remedy=_AGAIN,
        ) from error


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield the tensors that a graph holds."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from _tensors(attribute.g)
