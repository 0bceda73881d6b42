"""The templates' folder and the files that pages load: each address carries its content's hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import atlas
from atlas.errors import SiteError
from atlas.pages import urls

FOLDER = "site_templates"
# What decides a page's bytes beside the templates and the store: this package and what it draws with.
_CODE = ("pages/*.py", "images.py", "neuron.py", "records/*.py", "circuit_*.py")

_CSS_COMMENT = re.compile(rb"/\*((?!\*/).)*\*/")
_JS_COMMENT = re.compile(rb"//.*")


@dataclass(frozen=True, slots=True)
class Assets:
    """The files under static/: `addresses` by plain name ("atlas.css"), `contents` by address.

    `contents` also holds the files under data/, which have the address that they have here.
    """

    addresses: Mapping[str, str]
    contents: Mapping[str, bytes]


def template_folder() -> Path:
    """Return the folder of templates: inside the package (a wheel), else beside it (a checkout).

    Raises SiteError when neither is there.
    """
    package = Path(atlas.__file__).parent
    for folder in (package / FOLDER, package.parent / FOLDER):
        if (folder / "base.html").is_file():
            return folder
    raise SiteError(f"the templates {FOLDER} are missing", remedy="install circuit-atlas again")


def gather_assets(folder: Path, *, generated: Mapping[str, bytes]) -> Assets:
    """Return the assets in `folder`/static and the `generated` ones, which are named like files."""
    files = {path.name: slim(path.name, path.read_bytes()) for path in sorted((folder / "static").iterdir())}
    addresses, contents = {}, {}
    for name, data in sorted({**files, **generated}.items()):
        stem, _, ending = name.rpartition(".")
        addresses[name] = urls.static(stem, ending, hashlib.sha256(data).hexdigest())
        contents[addresses[name]] = data
    contents.update(_fixed(folder))
    return Assets(addresses, contents)


def slim(name: str, data: bytes) -> bytes:
    """Return a style sheet or a script without indents, blank lines and comments that fill a line.

    A tenth of what every page loads. No text in them spans lines, so nothing that counts is touched.
    """
    comment = {"css": _CSS_COMMENT, "js": _JS_COMMENT}.get(name.rpartition(".")[2])
    if comment is None:
        return data
    lines = (line.strip() for line in data.splitlines())
    return b"\n".join(line for line in lines if line and not comment.fullmatch(line)) + b"\n"


def program_digest(folder: Path) -> str:
    """Return a SHA-256 of the template text and of the code that fills it: a change makes pages stale."""
    package = Path(atlas.__file__).parent
    templates = [(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file()]
    code = [(path.name, path) for pattern in _CODE for path in package.glob(pattern)]
    digest = hashlib.sha256()
    for name, path in sorted(templates) + sorted(code):
        data = path.read_bytes()
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _fixed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a site has as they are, under addresses that never change: schemas, a README."""
    for path in sorted((folder / "data").rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
