"""Small sites made of nothing, for publishing; and what a visitor would find broken in one."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

from atlas.site.folder import status
from atlas.site.html.html_scan import scan_html

GENERATOR = '<meta name="generator" content="circuit-atlas">'


def site_contents(n: int = 6, *, edition: int = 1) -> dict[str, bytes]:
    """Return the files of a site of `n` neurons; of editions all differ but the data of even neurons."""
    css = f"body {{ order: {edition} }}".encode()
    style = f"static/atlas.{hashlib.sha256(css).hexdigest()[:12]}.css"
    files = {style: css, "data/atlas.json": b"{}", "data/checksums.txt": b""}
    for at in range(n):
        after = f'<a href="mixed3b_{(at + 1) % n}.html">next</a>'
        # A picture of its own for each edition, so that a page without its picture shows.
        picture = f"images/neuron/mixed3b_{at}-{edition}.jpg"
        files[picture] = f"picture {at} of {edition}".encode() * 20
        files[f"mixed3b_{at}.html"] = _page(style, f'<img src="{picture}" alt="">{after}')
        files[f"data/mixed3b_{at}.json"] = b"{}" if at % 2 == 0 else f'{{"e": {edition}}}'.encode()
    links = "".join(f'<a href="mixed3b_{at}.html">{at}</a>' for at in range(n))
    files["index.html"] = _page(style, links)
    return files


def write_site(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, and beside those of a site the status that a render leaves; return it."""
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if "data/atlas.json" in files:
        states = {key: (hashlib.sha256(data).hexdigest(), len(data)) for key, data in files.items()}
        left = status.SiteStatus(pages={"data/atlas": ""}, files=states)
        (folder / status.NAME).write_bytes(status.encode_status(left))
    return folder


def broken(objects: Mapping[str, bytes]) -> list[str]:
    """Return the links that lead nowhere, of all that a visitor reaches from the home page."""
    found, seen, waiting = [], {"index.html"}, ["index.html"]
    while waiting:
        page = waiting.pop()
        for link, _ in scan_html(objects[page].decode()).links:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link.partition("#")[0]))
            if target not in objects:
                found.append(f"{page} -> {link}")
            elif target.endswith(".html") and target not in seen:
                seen.add(target)
                waiting.append(target)
    return found


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return all tags of a page, in order, with their attributes."""
    found: list[tuple[str, dict[str, str | None]]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Parser().feed(html)
    return found


def foreign_scripts(html: str) -> list[str]:
    """Return what a page could run that is no file of its site: attributes, addresses, tags."""
    found = []
    for tag, attrs in tags(html):
        found += [f"{tag} {key}" for key in attrs if key.startswith("on")]
        found += [f"{tag} {v}" for v in attrs.values() if (v or "").strip().lower().startswith("javascript:")]
        if tag == "script" and not (attrs.get("src") or "").startswith("static/"):
            found.append(f"{tag} {attrs}")
    return found + re.findall(r"<script[^>]*>\s*[^<\s]", html)


def _page(style: str, body: str) -> bytes:
    head = f'<title>t</title>{GENERATOR}<link rel="stylesheet" href="{style}">'
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()
