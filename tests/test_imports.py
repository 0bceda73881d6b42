"""What shows an atlas starts without what makes one, and imports point down only."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "lucid", "sklearn", "keras", "scipy"}
LIGHT = ("atlas", "atlas.cli", "atlas.pages", "atlas.plan", "atlas.freshness", "atlas.store", "atlas.records")


@pytest.mark.parametrize("module", LIGHT)
def test_showing_needs_no_tensorflow(module: str) -> None:
    """In a fresh process, the half that shows numbers leaves the half that makes them alone."""
    code = f"import sys, {module}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert HEAVY.isdisjoint(done.stdout.split())
    assert done.stderr == ""


def test_imports_point_down() -> None:
    """The floors of the design hold, and every module stands on one."""
    lint = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    if lint is None:
        pytest.skip("import-linter is not installed; `pip install circuit-atlas[dev]` brings it")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
