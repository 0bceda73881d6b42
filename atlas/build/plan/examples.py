"""The artefacts that are made of images: examples and their pictures, distributions, fidelity of weights."""

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


def ranges(on: Dependencies) -> Iterator[Artefact]:
    """Yield the table of images from the whole range of each layer's neurons."""
    for layer in on.atlas.layers:
        if layer.ranges:
            inputs = _inputs(on, layer, "examples", "ranges")
            yield Artefact(keys.ranges(on.layer(layer).slug), "ranges", inputs, layer.layer)


def strips(on: Dependencies) -> Iterator[Artefact]:
    """Yield each neuron's examples side by side."""
    for layer in on.atlas.layers:
        stages = ("examples", "ranges", "strips") if layer.ranges else ("examples", "strips")
        slug, inputs = on.layer(layer).slug, _inputs(on, layer, *stages)
        for index in layer.neurons if layer.examples else ():
            yield Artefact(keys.example_strip(slug, index), "strips", inputs, layer.layer, index)


def distributions(on: Dependencies) -> Iterator[Artefact]:
    """Yield how the activations of each layer's neurons are distributed."""
    for layer in on.atlas.layers:
        if layer.distribution:
            inputs = on.inputs(_images(on, layer), "distributions")
            yield Artefact(keys.distribution(on.layer(layer).slug), "distributions", inputs, layer.layer)


def fidelity(on: Dependencies) -> Iterator[Artefact]:
    """Yield how well each layer's weights from the layer before predict it on images."""
    for layer, pair in on.upstream:
        if layer.fidelity:
            top = {"connections.top": str(on.config.connections.top)}
            inputs = on.over_weights(pair, _images(on, layer) | top, "fidelity")
            yield Artefact(keys.fidelity(on.layer(layer).slug), "fidelity", inputs, layer.layer)


def _images(on: Dependencies, layer: LayerRecord) -> dict[str, str]:
    return {"tensor": on.layer(layer).tensor, "examples": on.images} | on.resizing


def _inputs(on: Dependencies, layer: LayerRecord, *stages: str) -> dict[str, str]:
    count = str(on.config.dataset_examples.count)
    seed = {"seed": str(on.config.seed)} if "ranges" in stages else {}
    return on.inputs(_images(on, layer) | {"dataset_examples.count": count} | seed, *stages)
