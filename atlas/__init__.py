"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.circuit_figure import circuit_svg
    from atlas.circuits import circuit, ego_circuit
    from atlas.directions import draw_loadings, factor_pictures, factors, family_pictures, positions
    from atlas.display.album import illustrate
    from atlas.families import family, propose_families
    from atlas.filters import first_layer
    from atlas.layer_statistics import lookalikes, statistics
    from atlas.model.load import load_model
    from atlas.model.network import find_neuron
    from atlas.neighbours import downstream, kernel, neuron_row, upstream
    from atlas.sheets import sheet
    from atlas.signed_paths import cancellation
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "cancellation": "atlas.signed_paths",
    "circuit": "atlas.circuits",
    "circuit_svg": "atlas.circuit_figure",
    "downstream": "atlas.neighbours",
    "draw_loadings": "atlas.directions",
    "ego_circuit": "atlas.circuits",
    "expanded_weights": "atlas.weights",
    "factor_pictures": "atlas.directions",
    "factors": "atlas.directions",
    "family": "atlas.families",
    "family_pictures": "atlas.directions",
    "find_neuron": "atlas.model.network",
    "first_layer": "atlas.filters",
    "illustrate": "atlas.display.album",
    "kernel": "atlas.neighbours",
    "load_model": "atlas.model.load",
    "lookalikes": "atlas.layer_statistics",
    "neuron_row": "atlas.neighbours",
    "positions": "atlas.directions",
    "propose_families": "atlas.families",
    "sheet": "atlas.sheets",
    "statistics": "atlas.layer_statistics",
    "upstream": "atlas.neighbours",
}
__all__ = [
    "__version__",
    "cancellation",
    "circuit",
    "circuit_svg",
    "downstream",
    "draw_loadings",
    "ego_circuit",
    "expanded_weights",
    "factor_pictures",
    "factors",
    "family",
    "family_pictures",
    "find_neuron",
    "first_layer",
    "illustrate",
    "kernel",
    "load_model",
    "lookalikes",
    "neuron_row",
    "positions",
    "propose_families",
    "sheet",
    "statistics",
    "upstream",
]


def __getattr__(name: str) -> object:
    """Return a public function, importing its module and how its results show themselves."""
    if name in _HOMES:
        importlib.import_module("atlas.display")
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
