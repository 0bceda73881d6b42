"""Prints the figures of the package's structure: rooms, arrows, circles, records, lines, what is documented.

    python tests/benchmarks/structure.py [FOLDER of a checkout]

A room is a folder or a loose file of `atlas/`; an arrow is a pair of rooms of which the first imports the
second. A record is a dataclass, NamedTuple or Struct; a field is documented where a docstring follows it.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]

import import_graph

# Each stands on those below it; rooms of one floor are strangers.
FLOORS = (
    {"cli"},
    {"build", "notebook"},
    {"featurevis", "publish"},
    {"analysis", "site"},
    {"model", "store", "drawing"},
    {"core", "system"},
)


def figures(checkout: Path) -> dict[str, object]:
    """Return the figures of a checkout by name."""
    package = checkout / "atlas"
    graph = {name: found - {"atlas"} for name, found in import_graph.imports(package).items()}
    rooms = {name: name.split(".")[1] for name in graph if name != "atlas"}
    arrows = {
        (rooms[a], rooms[b])
        for a, found in graph.items()
        if a in rooms
        for b in found
        if rooms[a] != rooms[b]
    }
    floor = {room: height for height, names in enumerate(FLOORS) for room in names}
    imported = Counter(b for a, found in graph.items() if a != "atlas" for b in found)
    trees = [ast.parse(path.read_text()) for path in import_graph.modules(package).values()]
    nodes = (node for tree in trees for node in ast.walk(tree))
    records = [node for node in nodes if isinstance(node, ast.ClassDef) and _is_record(node)]
    fields = [documented for record in records for documented in _fields(record)]
    public = [bool(ast.get_docstring(node)) for tree in trees for node in _public(tree)]
    schemas = list(checkout.glob("site_templates/data/**/*.json"))
    return {
        "rooms": len(set(rooms.values())),
        "arrows between rooms": len(arrows),
        "arrows upward": sum(floor.get(a, -1) >= floor.get(b, 9) for a, b in arrows)
        if "core" in floor
        else "",
        "files in import circles": len(import_graph.circles(graph)),
        "files": len(graph),
        "files imported by one other": sum(count == 1 for count in imported.values()),
        "record types": len(records),
        "fields documented where they stand": f"{sum(fields)} of {len(fields)}",
        "public docstrings": f"{sum(public)} of {len(public)}",
        "lines of code": sum(_lines(path) for path in package.rglob("*.py")),
        "hand-written schema lines": sum(len(path.read_text().splitlines()) for path in schemas),
    }


def _is_record(node: ast.ClassDef) -> bool:
    names = {
        ast.unparse(part).split("(")[0].rpartition(".")[2] for part in [*node.decorator_list, *node.bases]
    }
    return bool(names & {"dataclass", "NamedTuple", "Struct", "_Settings", "Document"})


def _fields(record: ast.ClassDef) -> Iterator[bool]:
    """Yield for each field whether it is documented: by a docstring behind it, or in its annotation."""
    for node, after in zip(record.body, [*record.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            yield told or "description" in ast.unparse(node) or "Annotated" in ast.unparse(node.annotation)


def _public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    part
                    for part in node.body
                    if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")
                )


def _lines(path: Path) -> int:
    """Return how many lines of a file are neither empty nor a comment."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


if __name__ == "__main__":
    for name, value in figures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT).items():
        print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
