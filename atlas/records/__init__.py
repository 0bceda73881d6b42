"""Frozen results: what the stages make, what the store keeps, what the pages show. They compute nothing.

Arrays are float32 or int32, the axes named at each field. A record about a layer holds a row for
each of its neurons, so `n` below is the layer's channel count and row i belongs to neuron i.
"""

from __future__ import annotations

from atlas.records.arrays import Floats, Ints
from atlas.records.atlas import AtlasRecord, CircuitShape, FamilyRecord, LayerRecord, ModelRecord
from atlas.records.connections import Circuit, CircuitEdge, Connections, Paths
from atlas.records.factors import Factor, FactorCount, Factorization, Family
from atlas.records.measures import FirstLayer, LayerStatistics
from atlas.records.pictures import Bands, DirectionSheet, ExampleTable, FeatureVis

__all__ = [
    "AtlasRecord",
    "Bands",
    "Circuit",
    "CircuitEdge",
    "CircuitShape",
    "Connections",
    "DirectionSheet",
    "ExampleTable",
    "Factor",
    "FactorCount",
    "Factorization",
    "Family",
    "FamilyRecord",
    "FeatureVis",
    "FirstLayer",
    "Floats",
    "Ints",
    "LayerRecord",
    "LayerStatistics",
    "ModelRecord",
    "Paths",
]
