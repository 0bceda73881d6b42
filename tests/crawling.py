"""A visitor of a published site over HTTP: what it fetches, and what it finds wrong there."""

from __future__ import annotations

import http.client
import posixpath
import re
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from atlas.site.html.html_scan import scan_html

# What docs/publishing.md promises; not the code that is tested.
TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "csv": "text/csv",
    "txt": "text/plain",
    "sty": "text/plain",
    "svg": "image/svg+xml",
    "jpg": "image/jpeg",
    "png": "image/png",
}
ANYTHING = "application/octet-stream"
_AGES = (
    (r"static/.+\.[0-9a-f]{12}\.\w+", "public, max-age=31536000, immutable"),
    (r".+\.html", "public, max-age=300"),
)
# A picture that a style names.
_STYLED = re.compile(r"url\(['\"]?([^'\")]+)")
_AT_ONCE = 8
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: its status, headers in small letters, and the body."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Visitor:
    """Fetches addresses below a site's root; `answers` keeps each, and none is asked for twice."""

    def __init__(self, root: str) -> None:
        self._parts = urlsplit(root.rstrip("/"))
        self._own = threading.local()
        self._open: list[http.client.HTTPConnection] = []
        self.answers: dict[str, Answer] = {}

    def fetch(self, keys: Iterable[str]) -> None:
        """Ask for files, eight at a time."""
        new = [key for key in dict.fromkeys(keys) if key not in self.answers]
        self._own = threading.local()
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                self.answers |= zip(new, pool.map(self._fetched, new), strict=True)
        finally:
            while self._open:
                self._open.pop().close()

    def crawl(self, entries: Iterable[str] = ("index.html",)) -> list[str]:
        """Follow every link from some pages on; return those that lead nowhere, as "page -> link"."""
        waiting, seen, broken = list(entries), set(entries), []
        self.fetch(waiting)
        broken += [f"{key} itself" for key in waiting if self.answers[key].status != 200]
        while waiting:
            links = {page: self.links(page) for page in waiting}
            self.fetch(target for targets in links.values() for target in targets)
            for page, targets in links.items():
                broken += [f"{page} -> {key}" for key in targets if self.answers[key].status != 200]
            found = dict.fromkeys(target for targets in links.values() for target in targets)
            waiting = [key for key in found if key not in seen]
            seen.update(waiting)
        return broken

    def links(self, key: str) -> list[str]:
        """Return the files that a page shows or leads to; of what is no page, none."""
        answer = self.answers[key]
        if answer.status != 200 or not key.endswith(".html"):
            return []
        folder = posixpath.dirname(key)
        text = answer.data.decode()
        links = [link for link, _ in scan_html(text).links] + _STYLED.findall(text)
        # What a page holds itself is no file.
        plain = (link.partition("#")[0].partition("?")[0] for link in links if not link.startswith("data:"))
        return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, link)) for link in plain if link))

    def _fetched(self, key: str) -> Answer:
        for attempt in range(_TRIES):
            connection = self._connection(anew=attempt > 0)
            try:
                connection.request("GET", f"{self._parts.path}/{key}")
                answer = connection.getresponse()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                return Answer(answer.status, headers, answer.read())
            # A server may hang up on a connection that waited.
            except (OSError, http.client.HTTPException):
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def _connection(self, *, anew: bool) -> http.client.HTTPConnection:
        if anew or not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(self._parts.netloc, timeout=60)
            self._open.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        return connection


def type_faults(answers: Mapping[str, Answer]) -> list[str]:
    """Return the files that came with another Content-Type than their name's ending asks for."""
    return [
        f"{key}: {answer.headers.get('content-type')}"
        for key, answer in answers.items()
        if answer.headers.get("content-type", "").partition(";")[0]
        != TYPES.get(key.rpartition(".")[2], ANYTHING)
    ]


def cache_faults(answers: Mapping[str, Answer]) -> list[str]:
    """Return the files that a browser is told to keep for another time than the documents say."""
    return [
        f"{key}: {answer.headers.get('cache-control')}"
        for key, answer in answers.items()
        if answer.headers.get("cache-control") != max_age(key)
    ]


def max_age(key: str) -> str:
    """Return the Cache-Control that docs/publishing.md promises of a file."""
    found = (age for pattern, age in _AGES if re.fullmatch(pattern, key))
    return next(found, "public, max-age=3600")
