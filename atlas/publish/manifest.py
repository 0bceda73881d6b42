"""The manifest in a target: which files a publish put there, with which bytes and headers.

    {"format": 1, "run": "", "files": {"mixed3b_379.html": ["9f…", "text/html; charset=utf-8", "public, …"]}}

The journal of a running publish, and the parts that list what it has done, have the same format. null instead
of an entry means that a publish put the file there, but its bytes are uncertain.
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
# Only characters that servers, shells and file systems agree on, and no "..".
_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


class ManifestEntry(NamedTuple):
    """A file as a target holds it."""

    sha256: str
    """Hexadecimal SHA-256 of the file's bytes; "" in the headers of the manifest itself."""
    content_type: str
    """The file's Content-Type header."""
    cache_control: str
    """The file's Cache-Control header."""


class Manifest(msgspec.Struct, frozen=True):
    """The content of a manifest, a journal or a part."""

    format: int = FORMAT
    """Version of the format."""
    run: str = ""
    """Id of the publish that writes a journal or a part; "" in a manifest."""
    files: dict[str, ManifestEntry | None] = {}
    """Address -> file that a publish put; None where its bytes are uncertain."""


def part(number: int) -> str:
    """Return the key of a part of the journal."""
    return f"{FOLDER}done-{number:05}.json"


def is_key(key: str) -> bool:
    """Return whether an address is valid for a file that a publish puts or deletes."""
    return _KEY.fullmatch(key) is not None


def is_hidden(key: str) -> bool:
    """Return whether a part of an address begins with a dot; such files are not published or deleted."""
    return key.startswith(".") or "/." in key


def encode(run: str, files: Mapping[str, ManifestEntry | None]) -> bytes:
    """Return the bytes of a manifest, with addresses sorted."""
    return msgspec.json.encode(Manifest(run=run, files=dict(sorted(files.items())))) + b"\n"


def decode(data: bytes, *, name: str) -> Manifest:
    """Return the manifest in `data`; `name` is for messages.

    Raises PublishError when it is damaged, of another format, or lists an address that no publish puts.
    """
    try:
        decoded = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise PublishError(
            f"cannot read {name} in the target",
            expected="what a publish wrote",
            remedy="remove it there, then publish with --allow-foreign",
        ) from None
    if decoded.format != FORMAT:
        remedy = "publish with the version that wrote it, or a newer one"
        raise PublishError(f"{name} in the target", found=f"format {decoded.format}", remedy=remedy)
    strange = [key for key in decoded.files if not is_key(key)]
    if strange:
        raise PublishError(f"{name} in the target names {strange[0]!r}", expected="addresses of a site")
    return decoded
