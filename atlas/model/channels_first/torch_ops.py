"""The table of PyTorch's ops: the name of each in an exported program, and what writes it."""

from __future__ import annotations

# Each of these modules enters its ops into the table.
from atlas.model.channels_first import torch_dims, torch_elements, torch_maps
from atlas.model.channels_first.op_tables import TORCH

__all__ = ["TORCH"]

_MODULES = (torch_dims, torch_elements, torch_maps)
