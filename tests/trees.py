"""A folder as a mapping: address -> bytes."""

from __future__ import annotations

from pathlib import Path


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def visible_tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder that is not hidden, nor in a hidden folder."""
    return {key: data for key, data in tree(folder).items() if not key.startswith(".") and "/." not in key}
