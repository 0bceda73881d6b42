"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with a real network, photographs and reference arrays; skips where it is absent."""
    folder = Path(os.environ.get("ATLAS_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "models" / "googlenet" / "graph.pb").exists():
        pytest.skip(
            f"no development data in {folder}; set ATLAS_SHARED to the folder that holds models/googlenet"
        )
    return folder
