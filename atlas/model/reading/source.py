"""The file or folder that a source names, and its digest. No network is read, no TensorFlow imported."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from atlas.core.errors import ModelError

# Libraries of PyTorch networks, as sources name them.
TORCH_ZOOS = ("timm:", "torchvision:")
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
DEMO_FOLDER = Path(__file__).parents[1] / "demo"
# The files of the demo network; its folder also holds the code that draws its images.
_MANIFEST_FILES = ("manifest.json", "graph.pb", "labels.txt")


def names_callable(source: str) -> bool:
    """Return whether a source is "package.module:callable", which makes a PyTorch network."""
    is_zoo = source.startswith((*TORCH_ZOOS, "keras:"))
    return not is_zoo and _CALLABLE.fullmatch(source) is not None


def model_path(source: str) -> Path | None:
    """Return the file or folder that a source names; None for a zoo name or a Keras application."""
    if source == "demo":
        return DEMO_FOLDER
    # These functions take any text; pathlib's raise for names too long and for homes of unknown users.
    path = os.path.expanduser(source)
    return Path(path) if os.path.exists(path) else None


def source_digest(source: str) -> str:
    """Return a SHA-256 that changes when the model behind a source changes.

    For files it depends on their bytes; for a model that a library downloads, on the libraries' versions.
    Raises ModelError when a file cannot be read.
    """
    path = model_path(source)
    try:
        if path is None:
            return hashlib.sha256(f"{source} {_versions(source)}".encode()).hexdigest()
        return files_digest(path, _files(path))
    except OSError as error:
        raise ModelError(f"cannot read the model {source}: {error.strerror}") from error


def files_digest(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 of the files' bytes and of their paths relative to `folder`."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{os.path.relpath(file, folder)} {digest}\n".encode())
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    manifest = [path / name for name in _MANIFEST_FILES if (path / name).is_file()]
    return manifest if path == DEMO_FOLDER else sorted(p for p in path.rglob("*") if p.is_file())


def _versions(source: str) -> str:
    """Return the versions of the libraries that a source comes from."""
    is_torch = source.startswith(TORCH_ZOOS) or names_callable(source)
    names = ("torch", "timm", "torchvision") if is_torch else ("keras", "lucid")
    return " ".join(f"{name} {_version(name)}" for name in names)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
