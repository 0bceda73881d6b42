"""What a target says of itself: which files a publish put there, with which bytes and headers.

    {"format": 1, "run": "", "files": {"mixed3b_379.html": ["9f…", "text/html; charset=utf-8", "public, …"]}}

The same form serves the manifest, the journal of a publish under way, and the parts of what it has done;
null instead of an entry says that the file is a publish's own, and that its bytes are not known for sure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from atlas.core.errors import PublishError

FORMAT = 1
FOLDER = ".atlas-publish/"
MANIFEST = FOLDER + "manifest.json"
JOURNAL = FOLDER + "journal.json"
# Nothing that a server, a shell or a file system reads in two ways, and no step up.
_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


class ManifestEntry(NamedTuple):
    """A file as a target holds it."""

    sha256: str
    content_type: str
    cache_control: str


class Manifest(msgspec.Struct, frozen=True):
    """The content of a manifest, a journal or a part; `run` identifies one publish."""

    format: int = FORMAT
    run: str = ""
    files: dict[str, ManifestEntry | None] = {}


def part(number: int) -> str:
    """Return the key of a part of the journal."""
    return f"{FOLDER}done-{number:05}.json"


def is_key(key: str) -> bool:
    """Return whether a file's address is one that a publish puts, and may delete."""
    return _KEY.fullmatch(key) is not None


def is_hidden(key: str) -> bool:
    """Return whether a part of an address begins with a dot: no part of a site, and never touched."""
    return key.startswith(".") or "/." in key


def encode(run: str, files: Mapping[str, ManifestEntry | None]) -> bytes:
    """Return the bytes of a manifest, names sorted."""
    return msgspec.json.encode(Manifest(run=run, files=dict(sorted(files.items())))) + b"\n"


def decode(data: bytes, *, name: str) -> Manifest:
    """Return a manifest; raises PublishError when it is damaged, newer, or names what no publish puts."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise PublishError(
            f"cannot read {name} in the target",
            expected="what a publish wrote",
            remedy="remove it there, then publish with --allow-foreign",
        ) from None
    if found.format != FORMAT:
        remedy = "publish with the version that wrote it, or a newer one"
        raise PublishError(f"{name} in the target", found=f"format {found.format}", remedy=remedy)
    strange = [key for key in found.files if not is_key(key)]
    if strange:
        raise PublishError(f"{name} in the target names {strange[0]!r}", expected="addresses of a site")
    return found
