"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.display.album import illustrate
    from atlas.model.load import load_model
    from atlas.neighbours import downstream, kernel, neuron_row, upstream
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "downstream": "atlas.neighbours",
    "expanded_weights": "atlas.weights",
    "illustrate": "atlas.display.album",
    "kernel": "atlas.neighbours",
    "load_model": "atlas.model.load",
    "neuron_row": "atlas.neighbours",
    "upstream": "atlas.neighbours",
}
__all__ = [
    "__version__",
    "downstream",
    "expanded_weights",
    "illustrate",
    "kernel",
    "load_model",
    "neuron_row",
    "upstream",
]


def __getattr__(name: str) -> object:
    """Return a public function, importing its module and how its results show themselves."""
    if name in _HOMES:
        importlib.import_module("atlas.display")
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
