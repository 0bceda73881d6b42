"""What a web server says of a file: its type, and how long a browser may keep it. Functions of the name."""

from __future__ import annotations

import re

# Not the machine's own table of types: a site must be published alike from everywhere.
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "sty": "text/plain; charset=utf-8",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "ico": "image/vnd.microsoft.icon",
    "pdf": "application/pdf",
    "woff2": "font/woff2",
}
_UNKNOWN = "application/octet-stream"
# An asset's name changes with its content (atlas.site.urls.static).
_HASHED = re.compile(r"static/.+\.[0-9a-f]{12,64}\.[a-z0-9]+")
FOR_EVER = "public, max-age=31536000, immutable"
MINUTES = "public, max-age=300"
AN_HOUR = "public, max-age=3600"
NEVER = "no-store"


def content_type(key: str) -> str:
    """Return the Content-Type of a file by its name's ending."""
    return _TYPES.get(key.rpartition(".")[2].lower(), _UNKNOWN)


def cache_control(key: str) -> str:
    """Return the Cache-Control of a file: hashed assets a year, pages minutes, the rest an hour."""
    if _HASHED.fullmatch(key):
        return FOR_EVER
    return MINUTES if is_page(key) else AN_HOUR


def is_page(key: str) -> bool:
    """Return whether a file is a page, which others link to."""
    return key.endswith(".html")
