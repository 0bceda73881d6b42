"""What the AtlasRecord depends on: the model's bytes and every setting, as named values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from atlas.config import AtlasConfig
from atlas.errors import ModelError
from atlas.model.source import source_digest
from atlas.plan.artefact import STAGES
from atlas.store.fingerprint import sha256


def atlas_inputs(config: AtlasConfig) -> dict[str, str]:
    """Return what the AtlasRecord depends on: the model and every setting, but for folders and engines."""
    shown = msgspec.to_builtins(config)
    # Whatever engine made it, an artefact is the same.
    unseen = ("site", "store", "model", "examples", "engine")
    settings = {key: value for key, value in shown.items() if key not in unseen}
    return {
        "model": source_digest(config.model),
        "stage": STAGES["atlas"],
        "examples": "yes" if config.examples else "",
        # Not an input as long as it says nothing: stores of former versions stay fresh.
        **{name: value for name, value in _flat(settings) if (name, value) != ("featurevis.fixed", "{}")},
        **_labels(config.model_options.labels),
    }


def _labels(path: str) -> dict[str, str]:
    """Return the bytes of the file of labels as an input, not its name."""
    try:
        return {"model_options.labels": sha256(Path(path).read_bytes())} if path else {}
    except OSError as error:
        raise ModelError(f"cannot read the labels {path}: {error.strerror}") from error


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings as dotted names with their values in JSON."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", msgspec.json.encode(value).decode()
