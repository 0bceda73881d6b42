"""Nouns that every room knows: layers and neurons, settings, records, errors. Imports no other room.

Other rooms use:

    neuron: Layer, Neuron and INPUT; any alias of a neuron becomes the neuron.
    config: AtlasConfig: every setting with its default.
    records: frozen results: what is computed, kept and shown.
    records.operating_point: at which images gates are held, and how notes say so.
    errors: what can go wrong: what, found, expected, remedy.
    slugs: names as safe parts of addresses.
    notebook_registry: Displayed: a record that asks a table for its HTML in a notebook.
"""
