"""The named values that artefacts of several stages depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from atlas.build.plan.artefact import Pair, pairs_of
from atlas.build.plan.settings import changed_options
from atlas.core.config import AtlasConfig
from atlas.core.neuron import Layer, find_layer
from atlas.core.preprocessing import COVER
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.core.records.operating_point import HELD
from atlas.drawing.images import shown_bands

# Left out of the inputs: stores of former versions have no such value, and stay fresh.
_NO_VALUE = {("featurevis.fixed", "()"), ("featurevis.margin", "(0, 0)")}


class Dependencies:
    """An atlas and a config, from which each stage takes the inputs of its artefacts."""

    def __init__(
        self, atlas: AtlasRecord, config: AtlasConfig, images: str, versions: Mapping[str, str]
    ) -> None:
        """`images` is the digest of the folder of examples, `versions` are the stages', by name."""
        self.atlas, self.config, self.images = atlas, config, images
        self._versions = versions
        # With another input, the same bytes are another network.
        self._model = {
            "model": atlas.model.sha256,
            "model_options.input": config.model_options.input,
            "model_options.input_shape": str(atlas.model.input_shape),
            "model_options.value_range": str(atlas.model.value_range),
            **changed_options(config),
        }

    @property
    def bands(self) -> tuple[int, ...]:
        """The bands that are shown as red, green and blue; () where the image is grey or RGB."""
        return shown_bands(self.atlas.model.input_shape[2], self.config.model_options.bands)

    @property
    def resizing(self) -> dict[str, str]:
        """How photographs are read, as an input; none as long as they are as in former versions."""
        resizing = self.atlas.model.resizing
        return {"resizing": msgspec.json.encode(resizing).decode()} if resizing != COVER else {}

    @property
    def upstream(self) -> Iterator[tuple[LayerRecord, Pair]]:
        """The layers that have weights from a layer before them, each with that pair."""
        return (
            (layer, pairs["upstream"])
            for layer in self.atlas.layers
            if "upstream" in (pairs := pairs_of(layer))
        )

    def layer(self, layer: LayerRecord) -> Layer:
        """Return a layer of the network."""
        return find_layer(self.atlas.model.layers, layer.layer)

    def version(self, *stages: str) -> str:
        """Return the versions of the stages whose code takes part in an artefact, joined by dots."""
        return ".".join(self._versions[stage] for stage in stages)

    def inputs(self, own: Mapping[str, str], *stages: str) -> dict[str, str]:
        """Return a stage's own values, together with the model's and the versions of `stages`."""
        return {**self._model, **own, "stage": self.version(*stages)}

    def of_weights(self, pair: Pair) -> dict[str, str]:
        """Return the inputs of a pair's expanded weights."""
        values = {
            "carrier": pair.carrier,
            "target": pair.target,
            "weights.width": str(self.config.weights.width),
        }
        if pair.notes:
            values["notes"] = "; ".join(pair.notes)
        if any(HELD in note for note in pair.notes):
            values |= {"operating_point": self.images or "noise"} | (self.resizing if self.images else {})
        return self.inputs(values, "weights")

    def over_weights(self, pair: Pair, own: Mapping[str, str], *stages: str) -> dict[str, str]:
        """Return the inputs of an artefact made from a pair's weights: theirs and the stage's own."""
        return {**self.of_weights(pair), **own, "stage": self.version("weights", *stages)}

    def shown(self, recipe: Mapping[str, str]) -> dict[str, str]:
        """Return a recipe's values and the bands of its pictures, without those that leave it as it was."""
        bands = {"model_options.bands": str(self.bands)} if self.bands else {}
        return {name: value for name, value in recipe.items() if (name, value) not in _NO_VALUE} | bands
