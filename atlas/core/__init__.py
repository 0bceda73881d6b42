"""Nouns that every room knows: layers and neurons, settings, records, errors. Imports no other room.

Other rooms use:

    neuron: Layer, Neuron and INPUT; turns any alias of a neuron into the neuron.
    model_config: settings that say how a model is read.
    config: AtlasConfig: every setting with its default.
    records: frozen results: what is computed, kept and shown.
    records.operating_point: the images whose mean gates are held at, and the words for it in notes.
    errors: every failure that a user can cause: what, found, expected, remedy.
    preprocessing: how a photograph becomes a network's input.
    slugs: names of layers and families as safe parts of addresses.
    node_names: names of layers in the names of a graph's nodes.
    notebook_registry: Displayed: the base class of results that a notebook shows as figures.
"""
