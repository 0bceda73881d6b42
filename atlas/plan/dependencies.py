"""What the artefacts of each kind depend on, as named values that all stages share."""

from __future__ import annotations

from collections.abc import Mapping

from atlas.config import AtlasConfig
from atlas.images import shown_bands
from atlas.neuron import Layer, find_layer
from atlas.plan.artefact import STAGES, Pair, chosen_bands
from atlas.plan.settings import changed_options
from atlas.records import AtlasRecord, LayerRecord
from atlas.records.operating_point import HELD

# A value that stores of former versions do not know.
_NONE_FIXED = ("featurevis.fixed", "()")


class Dependencies:
    """An atlas and a config, asked by a stage for the inputs of its artefacts."""

    def __init__(self, atlas: AtlasRecord, config: AtlasConfig, images: str) -> None:
        """`images` is the digest of the folder of examples."""
        self.atlas, self.config, self.images = atlas, config, images
        # The same bytes are another network with another input.
        self._model = {
            "model": atlas.model.sha256,
            "model_options.input": config.model_options.input,
            "model_options.input_shape": str(atlas.model.input_shape),
            "model_options.value_range": str(atlas.model.value_range),
            **changed_options(config),
        }

    @property
    def bands(self) -> tuple[int, ...]:
        """The bands that are shown as red, green and blue, () where an image is a picture as it is."""
        return shown_bands(self.atlas.model.input_shape[2], chosen_bands(self.config))

    def shown(self, recipe: Mapping[str, str]) -> dict[str, str]:
        """Return the values of a recipe with how its pictures are shown, without what says nothing."""
        bands = {"model_options.bands": str(self.bands)} if self.bands else {}
        return {name: value for name, value in recipe.items() if (name, value) != _NONE_FIXED} | bands

    def layer(self, layer: LayerRecord) -> Layer:
        """Return a layer of the network."""
        return find_layer(self.atlas.model.layers, layer.layer)

    def inputs(self, stage: str, own: Mapping[str, str]) -> dict[str, str]:
        """Return a stage's own values with those of the model and the stage's version."""
        return {**self._model, "stage": STAGES[stage], **own}

    def of_weights(self, pair: Pair) -> dict[str, str]:
        """Return what a pair's expanded weights depend on."""
        own = {
            "carrier": pair.carrier,
            "target": pair.target,
            "weights.width": str(self.config.weights.width),
        }
        if pair.notes:
            own["notes"] = "; ".join(pair.notes)
        if any(HELD in note for note in pair.notes):
            own["operating_point"] = self.images or "noise"
        return self.inputs("weights", own)

    def over_weights(self, stage: str, pair: Pair) -> dict[str, str]:
        """Return what a stage's work on a pair's expanded weights depends on, its own settings left out."""
        return self.of_weights(pair) | {"stage": f"{STAGES['weights']}.{STAGES[stage]}"}
