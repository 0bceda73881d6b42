"""Frozen results of the stages, which the store keeps and the pages show. They compute nothing.

Arrays are float32 or int32, the axes named at each field. A record about a layer holds a row for
each of its neurons, so `n` below is the layer's channel count and row i belongs to neuron i.
"""

from __future__ import annotations

from atlas.core.records.arrays import Floats, Ints
from atlas.core.records.atlas import AtlasRecord, CircuitShape, FamilyRecord, LayerRecord, ModelRecord
from atlas.core.records.behaviour import Distribution, Fidelity
from atlas.core.records.connections import Circuit, CircuitEdge, Connections, Paths
from atlas.core.records.factors import Factor, FactorCount, Factorization, Family
from atlas.core.records.measures import EffectiveField, FirstLayer, LayerStatistics
from atlas.core.records.pictures import Bands, DirectionSheet, ExampleTable, FeatureVis, RangeTable

__all__ = [
    "AtlasRecord",
    "Bands",
    "Circuit",
    "CircuitEdge",
    "CircuitShape",
    "Connections",
    "DirectionSheet",
    "Distribution",
    "EffectiveField",
    "ExampleTable",
    "Factor",
    "FactorCount",
    "Factorization",
    "Family",
    "FamilyRecord",
    "FeatureVis",
    "Fidelity",
    "FirstLayer",
    "Floats",
    "Ints",
    "LayerRecord",
    "LayerStatistics",
    "ModelRecord",
    "Paths",
    "RangeTable",
]
