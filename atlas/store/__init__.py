"""The folder in which the two halves meet: numbers come in on one side and are shown on the other."""

from __future__ import annotations

from atlas.store.store import Status, Store

__all__ = ["Status", "Store"]
