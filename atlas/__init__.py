"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.circuit_drawing import circuit_svg
    from atlas.circuits import circuit, ego_circuit
    from atlas.model.load import load_model
    from atlas.model.network import find_neuron
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "circuit": "atlas.circuits",
    "circuit_svg": "atlas.circuit_drawing",
    "ego_circuit": "atlas.circuits",
    "expanded_weights": "atlas.weights",
    "find_neuron": "atlas.model.network",
    "load_model": "atlas.model.load",
}
__all__ = [
    "__version__",
    "circuit",
    "circuit_svg",
    "ego_circuit",
    "expanded_weights",
    "find_neuron",
    "load_model",
]


def __getattr__(name: str) -> object:
    """Return a public function, importing its module."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
