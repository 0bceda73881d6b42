"""What shows an atlas starts without what makes one, and imports point down only."""

from __future__ import annotations

import ast
import graphlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "lucid", "sklearn", "keras", "scipy"}
LIGHT = (
    "atlas",
    "atlas.cli.commands",
    "atlas.site",
    "atlas.build.plan",
    "atlas.build.freshness",
    "atlas.store",
    "atlas.core.records",
)


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


def test_no_files_import_each_other() -> None:
    """No circle of imports in the package, those under TYPE_CHECKING and inside functions counted."""
    files = {module_name(path): path for path in (ROOT / "atlas").rglob("*.py")}
    graph = {name: {found for found in imports(name, path) if found in files} for name, path in files.items()}
    # The package is a list of its functions' homes for type checkers; any module may read its version.
    graph["atlas"] = set()
    list(graphlib.TopologicalSorter(graph).static_order())


def module_name(path: Path) -> str:
    """Return a file's name as an import has it: "atlas.site.writing.plan"."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield what a file imports, wherever in it: modules, and names that may be modules."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports by a relative name, which this test does not follow"
            # Of `from atlas.store import codec` the file is meant and not the package, which imports it too.
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            are_files = [(ROOT / member.replace(".", "/")).with_suffix(".py").is_file() for member in members]
            yield from (member for member, is_file in zip(members, are_files, strict=True) if is_file)
            if not all(are_files) and node.module:
                yield node.module
