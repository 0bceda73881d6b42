"""What shows an atlas starts without what makes one, and imports point down only."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

import atlas
import import_graph

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "lucid", "sklearn", "keras", "scipy"}
# The package is a list of its functions' homes for type checkers; any module may read its version.
GRAPH = {name: found - {"atlas"} for name, found in import_graph.imports().items() if name != "atlas"}
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
    assert import_graph.circles(GRAPH) == []


def test_rooms_use_each_other_by_their_faces() -> None:
    """What a room takes from another stands in the other's face, which is the docstring of its package."""
    used = {
        (other, name)
        for module, found in GRAPH.items()
        for name in found
        if module != "atlas" and (other := room(name)) != room(module)
    }
    faces = {path.parent.name: set(face(path)) for path in (ROOT / "atlas").glob("*/__init__.py")}
    hidden = {
        name
        for other, name in used
        if name.partition(f"atlas.{other}")[2].lstrip(".") not in faces[other] | {""}
    }
    assert hidden == set()
    homes = {(room(name), name) for name in atlas._HOMES.values()}
    idle = {
        f"atlas.{other}.{name}"
        for other, names in faces.items()
        for name in names
        if (other, f"atlas.{other}.{name}") not in used | homes | {("cli", "atlas.cli.commands")}
    }
    assert idle == set()


def test_public_functions_are_listed() -> None:
    """`dir(atlas)` names each public function, whether it was used before or not."""
    assert set(atlas.__all__) <= set(dir(atlas))


def room(module: str) -> str:
    """Return the room of a module: "site" of "atlas.site.writing.plan"."""
    return module.split(".")[1]


def face(path: Path) -> dict[str, str]:
    """Return the modules that a room's package says others may use, each with its sentence."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return dict(re.findall(r"^    ([a-z_.]+): (.+)$", text, re.M))


def test_a_name_means_one_thing() -> None:
    """No two classes of the package have one name."""
    trees = [ast.parse(path.read_text("utf-8")) for path in import_graph.modules().values()]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
