"""Circuit Atlas: a trained convolutional network in, a static site with a page for every neuron out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.model.load import load_model
    from atlas.weights import expanded_weights

__version__ = "0.1.0"
__all__ = ["__version__", "expanded_weights", "load_model"]


def __getattr__(name: str) -> object:
    """Import the numeric half only when it is asked for: showing an atlas never needs TensorFlow."""
    if name == "load_model":
        from atlas.model.load import load_model

        return load_model
    if name == "expanded_weights":
        from atlas.weights import expanded_weights

        return expanded_weights
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")
