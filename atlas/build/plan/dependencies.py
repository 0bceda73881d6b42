"""What artefacts depend on, as named values that all stages share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from atlas.build.plan.artefact import Pair, pairs_of
from atlas.build.plan.settings import changed_options
from atlas.core.config import AtlasConfig
from atlas.core.neuron import Layer, find_layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.core.records.operating_point import HELD
from atlas.drawing.images import shown_bands

# A value that stores of former versions do not know.
_NONE_FIXED = ("featurevis.fixed", "()")


class Dependencies:
    """An atlas and a config, which each stage asks for the inputs of its artefacts."""

    def __init__(
        self, atlas: AtlasRecord, config: AtlasConfig, images: str, versions: Mapping[str, str]
    ) -> None:
        """`images` is the digest of the folder of examples, `versions` are those of the stages, by name."""
        self.atlas, self.config, self.images = atlas, config, images
        self._versions = versions
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
        return shown_bands(self.atlas.model.input_shape[2], self.config.model_options.bands)

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
        """Return the versions of stages, joined by a dot: of all whose code has a part in an artefact."""
        return ".".join(self._versions[stage] for stage in stages)

    def inputs(self, own: Mapping[str, str], *stages: str) -> dict[str, str]:
        """Return a stage's own values with those of the model and the versions of stages."""
        return {**self._model, **own, "stage": self.version(*stages)}

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
        return self.inputs(own, "weights")

    def over_weights(self, pair: Pair, own: Mapping[str, str], *stages: str) -> dict[str, str]:
        """Return what a stage's work on a pair's expanded weights depends on, with the stage's own values."""
        return {**self.of_weights(pair), **own, "stage": self.version("weights", *stages)}

    def shown(self, recipe: Mapping[str, str]) -> dict[str, str]:
        """Return the values of a recipe with how its pictures are shown, without what says nothing."""
        bands = {"model_options.bands": str(self.bands)} if self.bands else {}
        return {name: value for name, value in recipe.items() if (name, value) != _NONE_FIXED} | bands
