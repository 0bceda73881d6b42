"""The store: a folder of artefacts, which builds write, and sites and notebooks read.

Other rooms use:

    keys: the name of each artefact in a store.
    codec: arrays and records <-> bytes.
    fingerprint: a hash of the values that an artefact depends on, and the first value that changed.
    disk: files that are written completely or not at all.
"""

from __future__ import annotations

from atlas.store.store import Status, Store

__all__ = ["Status", "Store"]
