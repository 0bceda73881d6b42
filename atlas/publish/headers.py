"""HTTP headers of a file, as functions of its name: its type, and how long a browser may cache it."""

from __future__ import annotations

import re

# Not the machine's table of types, because a site must get the same headers from every machine.
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
# The name of an asset changes with its content (atlas.site.urls.static).
_HASHED = re.compile(r"static/.+\.[0-9a-f]{12,64}\.[a-z0-9]+")
FOR_EVER = "public, max-age=31536000, immutable"
MINUTES = "public, max-age=300"
AN_HOUR = "public, max-age=3600"
NEVER = "no-store"


def content_type(key: str) -> str:
    """Return the Content-Type of a file, by the ending of its name."""
    return _TYPES.get(key.rpartition(".")[2].lower(), _UNKNOWN)


def cache_control(key: str) -> str:
    """Return the Cache-Control of a file: a year for hashed assets, minutes for pages, else an hour."""
    if _HASHED.fullmatch(key):
        return FOR_EVER
    return MINUTES if is_page(key) else AN_HOUR


def is_page(key: str) -> bool:
    """Return whether a file is an HTML page."""
    return key.endswith(".html")
