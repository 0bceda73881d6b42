"""How results show themselves in a notebook; importing this gives every result its figure.

A figure is one piece of HTML with all its pictures in it: heat maps with the legend of their signs, icons
of what excites the neurons, and in words what was selected. `illustrate` chooses where icons come from.
"""

from __future__ import annotations

from atlas.notebook import factor_figures, layer_figures, path_figures, weight_figures
from atlas.notebook.album import Album, illustrate

__all__ = ["Album", "factor_figures", "illustrate", "layer_figures", "path_figures", "weight_figures"]
