"""Lucid's model zoo: a name -> a frozen graph, fetched through Lucid's cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.errors import ModelError, nearest
from atlas.model.graph.files import parse_graph, read_labels, sha256_of
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.lucid import lucid_modules, read_remote
from atlas.model.reading.preprocessing import Preparation


def zoo_names() -> tuple[str, ...]:
    """Return the names of all models of Lucid's zoo, sorted."""
    return tuple(sorted(name for name in lucid_modules().vision_models.__all__ if name != "Model"))


def read_zoo(name: str) -> Frozen:
    """Return a model of Lucid's zoo; raises ModelError for an unknown name, or if the download fails.

    Images enter as RGB. A model that reads BGR, or has a separate range for each channel, takes them with
    values of 0 to 255, and gets a preprocessing in front of its graph.
    """
    if name not in zoo_names():
        raise ModelError(
            f"no model {name!r}",
            expected="a file, a folder, keras:NAME or a name of Lucid's zoo",
            remedy=nearest(name, zoo_names()),
        )
    model = getattr(lucid_modules().vision_models, name)
    data, graph_def = _fetched(model.model_path)
    low, high = (np.asarray(value, np.float64) for value in model.image_value_range)
    backwards = bool(getattr(model, "is_BGR", False))
    plain = low.ndim == 0 and not backwards
    preparation = _preparation(low, high, backwards)
    return Frozen(
        name=name,
        sha256=sha256_of(data),
        graph_def=graph_def,
        input_tensor=str(model.input_name),
        input_shape=tuple(model.image_shape),
        value_range=(float(low), float(high)) if plain else (0.0, 255.0),
        range_source="as Lucid states",
        prepare_for=None if plain else lambda channels: preparation,
        labels=read_labels(read_remote(model.labels_path)) if model.labels_path else (),
    )


def _preparation(low: Any, high: Any, backwards: bool) -> Preparation:
    """Return the preprocessing from RGB images of 0 to 255 to a model's ranges of three channels."""
    scale, shift = (np.array(np.broadcast_to(each, 3)) for each in ((high - low) / 255, low))
    return Preparation((2, 1, 0) if backwards else (0, 1, 2), scale, shift)


def _fetched(url: str) -> tuple[bytes, Any]:
    """Return a graph file's bytes and its graph; a damaged copy in the cache is downloaded again."""
    data = read_remote(url)
    try:
        return data, parse_graph(data, url)
    except ModelError:
        data = read_remote(url, afresh=True)
        return data, parse_graph(data, url)
