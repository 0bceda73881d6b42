"""Opens the network that a config names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from atlas.analysis.examples import operating_point
from atlas.core.config import AtlasConfig
from atlas.core.errors import ModelError
from atlas.model.network import Network
from atlas.model.reading.load import load_model


def open_model(config: AtlasConfig) -> Network:
    """Return the network that a config names, "demo" for the bundled one; raises ModelError."""
    options = config.model_options
    network = load_model(
        config.model,
        input_name=options.input or None,
        value_range=options.value_range,
        input_shape=options.input_shape,
        labels=_labels(options.labels),
        name=options.name or None,
        preprocess=options.preprocess,
        mean=options.mean,
        std=options.std,
        channels=options.channels,
        inputs=options.inputs,
        signature=options.signature or None,
        custom_objects=options.custom_objects,
        unsafe=options.unsafe,
        weights=options.weights,
        interpolation=options.interpolation,
        crop=options.crop,
    )
    if not config.examples:
        return network
    images = operating_point(Path(config.examples), network.input_shape, network.preprocessing.resizing)
    return replace(network, examples=images)


def _labels(path: str) -> list[str] | None:
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"cannot read the labels {path}: {error}", expected="a text file, a class a line"
        ) from error
