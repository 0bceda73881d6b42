"""The folder of templates, and the files that pages load; their addresses contain a hash of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import rcssmin
import rjsmin

import atlas
from atlas.core.errors import SiteError
from atlas.site import urls
from atlas.site.data import schemas

FOLDER = "site_templates"
# A page's bytes depend on the templates, the store's content and the code of these rooms, which pages import.
# tests/site/test_assets.py follows the imports, and fails if a file lies elsewhere.
_CODE = ("site", "store", "drawing", "core", "system")


@dataclass(frozen=True, slots=True)
class Assets:
    """Files that are the same for all pages: those that pages load, a README and the JSON Schemas."""

    addresses: Mapping[str, str]
    """Plain name of a file under static/ ("atlas.css") -> its address, which contains a hash."""
    contents: Mapping[str, bytes]
    """Address -> bytes, of files under static/ and of the README and the schemas under data/."""


def template_folder() -> Path:
    """Return the folder of templates: inside the package (a wheel), else next to it (a checkout).

    Raises SiteError when neither is there.
    """
    package = Path(atlas.__file__).parent
    for folder in (package / FOLDER, package.parent / FOLDER):
        if (folder / "base.html").is_file():
            return folder
    raise SiteError(f"the templates {FOLDER} are missing", remedy="install circuit-atlas again")


def gather_assets(folder: Path, *, generated: Mapping[str, bytes]) -> Assets:
    """Return the assets in `folder`/static and the `generated` ones, given as file name -> bytes."""
    files = {path.name: slim(path.name, path.read_bytes()) for path in sorted((folder / "static").iterdir())}
    addresses, contents = {}, {}
    for name, data in sorted({**files, **generated}.items()):
        stem, _, ending = name.rpartition(".")
        addresses[name] = urls.static(stem, ending, hashlib.sha256(data).hexdigest())
        contents[addresses[name]] = data
    contents.update(_fixed(folder))
    return Assets(addresses, contents)


def slim(name: str, data: bytes) -> bytes:
    """Return a style sheet or script without comments and spaces: a fifth of what every page loads."""
    minify = {"css": rcssmin.cssmin, "js": rjsmin.jsmin}.get(name.rpartition(".")[2])
    return data if minify is None else f"{minify(data.decode())}\n".encode()


def program_digest(folder: Path, *, package: Path | None = None) -> str:
    """Return a SHA-256 of the templates and the code that fills them; when it changes, all pages are stale.

    `package` is the folder of the code, by default of the running code.
    """
    package = package or Path(atlas.__file__).parent
    templates = [(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file()]
    code = [
        (path.relative_to(package).as_posix(), path)
        for room in _CODE
        for path in package.joinpath(room).rglob("*.py")
    ]
    digest = hashlib.sha256()
    for name, path in sorted(templates) + sorted(code):
        data = path.read_bytes()
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _fixed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files under data/, whose addresses never change: a README and the schemas."""
    for path in sorted((folder / "data").rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
    for kind in schemas.KINDS:
        yield urls.schema(kind), schemas.schema_json(kind)
