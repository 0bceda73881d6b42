"""The artefacts that are dataset examples: a table of each layer, a strip of pictures of each neuron."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.build.plan.artefact import Artefact
from atlas.build.plan.dependencies import Dependencies
from atlas.core.records import LayerRecord
from atlas.store import keys


def examples(on: Dependencies) -> Iterator[Artefact]:
    """Yield the table of dataset examples of each layer that has them."""
    for layer in on.atlas.layers:
        if layer.examples:
            inputs = _inputs(on, layer, "examples")
            yield Artefact(keys.examples(on.layer(layer).slug), "examples", inputs, layer.layer)


def strips(on: Dependencies) -> Iterator[Artefact]:
    """Yield each neuron's examples side by side."""
    for layer in on.atlas.layers:
        slug, inputs = on.layer(layer).slug, _inputs(on, layer, "examples", "strips")
        for index in layer.neurons if layer.examples else ():
            yield Artefact(keys.example_strip(slug, index), "strips", inputs, layer.layer, index)


def _inputs(on: Dependencies, layer: LayerRecord, *stages: str) -> dict[str, str]:
    count = str(on.config.dataset_examples.count)
    values = {"tensor": on.layer(layer).tensor, "examples": on.images, "dataset_examples.count": count}
    return on.inputs(values | on.resizing, *stages)
