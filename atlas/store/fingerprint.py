"""Fingerprints: hashes of the named values that an artefact depends on, and the reason why they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

# Name of a value ("model", "stage", a setting) -> the value as text.
Inputs = Mapping[str, str]
MODEL_CHANGED = "model changed"


def fingerprint(inputs: Inputs) -> str:
    """Return the hexadecimal SHA-256 of named values; their order does not matter."""
    return hashlib.sha256(msgspec.json.encode(dict(sorted(inputs.items())))).hexdigest()


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def difference(before: Inputs, now: Inputs) -> str:
    """Return the first reason why values differ: "model changed", "setting X changed"; "" if none differs."""
    for name in ["model", "stage", *sorted({*before, *now})]:
        if before.get(name) != now.get(name):
            return {"model": MODEL_CHANGED, "stage": "program changed"}.get(name, f"setting {name} changed")
    return ""
