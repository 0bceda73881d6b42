"""The folder in which the two halves meet: numbers come in on one side and are shown on the other.

Other rooms use:

    keys: what each artefact is called in a store.
    codec: arrays and records as bytes, and back.
    fingerprint: a hash of what an artefact depends on, and the first value that changed.
    disk: files put in place whole.
"""

from __future__ import annotations

from atlas.store.store import Status, Store

__all__ = ["Status", "Store"]
