"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.analysis.cancellation import cancellation
    from atlas.analysis.circuits import circuit, ego_circuit
    from atlas.analysis.distribution import distribution
    from atlas.analysis.families import family, propose_families
    from atlas.analysis.fidelity import fidelity
    from atlas.analysis.filters import first_layer
    from atlas.analysis.neighbours import downstream, kernel, neuron_row, upstream
    from atlas.analysis.sheets import sheet
    from atlas.analysis.statistics import lookalikes, statistics
    from atlas.analysis.weights import expanded_weights
    from atlas.drawing.circuit_svg import circuit_svg
    from atlas.featurevis.directions import (
        draw_loadings,
        factor_pictures,
        factors,
        family_pictures,
        positions,
    )
    from atlas.model.network import find_neuron
    from atlas.model.reading.load import load_model
    from atlas.notebook.album import illustrate

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "cancellation": "atlas.analysis.cancellation",
    "circuit": "atlas.analysis.circuits",
    "circuit_svg": "atlas.drawing.circuit_svg",
    "distribution": "atlas.analysis.distribution",
    "downstream": "atlas.analysis.neighbours",
    "draw_loadings": "atlas.featurevis.directions",
    "ego_circuit": "atlas.analysis.circuits",
    "expanded_weights": "atlas.analysis.weights",
    "factor_pictures": "atlas.featurevis.directions",
    "factors": "atlas.featurevis.directions",
    "family": "atlas.analysis.families",
    "family_pictures": "atlas.featurevis.directions",
    "fidelity": "atlas.analysis.fidelity",
    "find_neuron": "atlas.model.network",
    "first_layer": "atlas.analysis.filters",
    "illustrate": "atlas.notebook.album",
    "kernel": "atlas.analysis.neighbours",
    "load_model": "atlas.model.reading.load",
    "lookalikes": "atlas.analysis.statistics",
    "neuron_row": "atlas.analysis.neighbours",
    "positions": "atlas.featurevis.directions",
    "propose_families": "atlas.analysis.families",
    "sheet": "atlas.analysis.sheets",
    "statistics": "atlas.analysis.statistics",
    "upstream": "atlas.analysis.neighbours",
}
__all__ = [
    "__version__",
    "cancellation",
    "circuit",
    "circuit_svg",
    "distribution",
    "downstream",
    "draw_loadings",
    "ego_circuit",
    "expanded_weights",
    "factor_pictures",
    "factors",
    "family",
    "family_pictures",
    "fidelity",
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
        importlib.import_module("atlas.notebook")
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the module's names, also those of public functions that were not asked for yet."""
    return sorted({*globals(), *__all__})
