"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.directions import draw_loadings, factor_pictures, factors, positions
    from atlas.filters import first_layer
    from atlas.layer_statistics import lookalikes, statistics
    from atlas.model.load import load_model
    from atlas.sheets import sheet
    from atlas.signed_paths import cancellation
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "cancellation": "atlas.signed_paths",
    "draw_loadings": "atlas.directions",
    "expanded_weights": "atlas.weights",
    "factor_pictures": "atlas.directions",
    "factors": "atlas.directions",
    "first_layer": "atlas.filters",
    "load_model": "atlas.model.load",
    "lookalikes": "atlas.layer_statistics",
    "positions": "atlas.directions",
    "sheet": "atlas.sheets",
    "statistics": "atlas.layer_statistics",
}
__all__ = [
    "__version__",
    "cancellation",
    "draw_loadings",
    "expanded_weights",
    "factor_pictures",
    "factors",
    "first_layer",
    "load_model",
    "lookalikes",
    "positions",
    "sheet",
    "statistics",
]


def __getattr__(name: str) -> object:
    """Return a public function, importing its module."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
