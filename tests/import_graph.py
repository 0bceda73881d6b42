"""Which file of the package imports which, read from their text: also what is imported when it is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "atlas"


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the files of a package by the names of their modules."""
    files = sorted(package.rglob("*.py"))
    parts = {path: path.relative_to(package.parent).with_suffix("").parts for path in files}
    return {".".join(names).removesuffix(".__init__"): path for path, names in parts.items()}


def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return the modules of a package that each of its modules imports."""
    known = modules(package)
    return {name: set(_imported(path, known)) - {name} for name, path in known.items()}


def reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Return what a module imports, and what that imports, to the end; itself too."""
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from ([full] if full in known else [node.module] if node.module in known else [])
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, in a circle of any length."""
    ends = {name: reached(name, graph) for name in graph}
    groups = {tuple(sorted(other for other in ends[name] if name in ends[other])) for name in graph}
    return sorted(list(group) for group in groups if len(group) > 1)
