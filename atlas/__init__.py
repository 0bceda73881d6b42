"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.families import family, propose_families
    from atlas.model.load import load_model
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
# Imported only when asked for by name: showing an atlas never needs TensorFlow.
_HOMES = {
    "expanded_weights": "atlas.weights",
    "family": "atlas.families",
    "load_model": "atlas.model.load",
    "propose_families": "atlas.families",
}
__all__ = ["__version__", "expanded_weights", "family", "load_model", "propose_families"]


def __getattr__(name: str) -> object:
    """Return a public function, importing its module."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
