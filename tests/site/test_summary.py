"""The summary of a neuron names its strongest connections."""

from __future__ import annotations

import numpy as np

from atlas.core.records import AtlasRecord, Connections
from atlas.site.neuron.summary import neuron_summary
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link
from atlas.store import Store, keys


def artefacts(store: Store, name: str) -> tuple[Catalogue, LayerArtefacts]:
    """Return a layer's artefacts, and the whole they are part of."""
    catalogue = Catalogue(store.record(keys.ATLAS, AtlasRecord), store.has)
    record = catalogue.record(name)
    assert record is not None
    return catalogue, LayerArtefacts(store, catalogue.layer(name), record)


def test_the_strongest_are_named_with_their_signs(store: Store) -> None:
    """Three each way, in the order of strength."""
    known = store.record(keys.connections("mixed3b", "upstream"), Connections)
    strongest = np.argsort(-np.sqrt(np.square(known.kernel[4]).sum((1, 2))))[:3]
    signs = ["+" if known.kernel[4, at].sum() > 0 else "\N{MINUS SIGN}" for at in strongest]
    names = [f"{n} ({sign})" for n, sign in zip(known.index[4, strongest], signs, strict=True)]
    text = neuron_summary(*artefacts(store, "mixed3b"), 4)
    assert f"Strongest inputs: block/one two:three:{', '.join(names)}. Strongest outputs: " in text


def test_families_are_named(store: Store) -> None:
    """One or several."""
    links = (Link("curves", "family_curves.html"), Link("lines", "family_lines.html"))
    one, two = (neuron_summary(*artefacts(store, "mixed3b"), 4, links[:n]) for n in (1, 2))
    assert ", of the family curves. Strongest" in one
    assert ", of the families curves, lines. Strongest" in two


def test_colours_are_named(store: Store) -> None:
    """The first layer is built from the image."""
    text = neuron_summary(*artefacts(store, "conv1"), 2)
    assert {"red", "green", "blue"} <= set(text.replace(",", " ").split())
