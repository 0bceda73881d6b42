"""Figures of results in a notebook; importing this package gives every result its figure.

A figure is one piece of HTML that contains its pictures: heat maps with a legend of their signs, icons of
what excites the neurons, and a sentence on what was selected. `illustrate` chooses where icons come from.
"""

from __future__ import annotations

from atlas.notebook import factor_figures, image_figures, layer_figures, path_figures, weight_figures
from atlas.notebook.album import Album, illustrate

__all__ = [
    "Album",
    "factor_figures",
    "illustrate",
    "image_figures",
    "layer_figures",
    "path_figures",
    "weight_figures",
]
