"""One HTML page -> its links, its ids and the faults of its tags."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# https://html.spec.whatwg.org/multipage/syntax.html#void-elements
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_LINKS = frozenset(("href", "src", "data-records"))
_REFRESH = re.compile(r"\s*\d+\s*;\s*url=(.*)", re.IGNORECASE)


@dataclass(slots=True)
class Scan:
    """The links, ids and faults of a page."""

    links: list[tuple[str, int]] = field(default_factory=list)
    """The links, each as (address, line number)."""
    canonical: list[tuple[str, int]] = field(default_factory=list)
    """Canonical links; only these may contain the address where the site is published."""
    ids: set[str] = field(default_factory=set)
    """The ids of the page's elements."""
    faults: list[tuple[int, str]] = field(default_factory=list)
    """The faults, each as (line number, message); line 0 for the whole page."""
    has_title: bool = False
    """Whether the page has a <title>."""


def scan_html(text: str) -> Scan:
    """Return links, ids and faults of a page; only tags are checked, as browsers repair and so hide them."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    for tag, line in parser.open_tags:
        parser.scan.faults.append((line, f"<{tag}> is never closed"))
    if not parser.scan.has_title:
        parser.scan.faults.append((0, "the page has no <title>"))
    return parser.scan


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scan = Scan()
        self.open_tags: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag's id and links, and that it is open."""
        line = self.getpos()[0]
        scan = self.scan
        if tag not in _VOID:
            self.open_tags.append((tag, line))
        scan.has_title = scan.has_title or tag == "title"
        links = scan.canonical if tag == "link" and ("rel", "canonical") in attrs else scan.links
        for name, value in attrs:
            if name in _LINKS:
                links.append((value or "", line))
            elif tag == "meta" and name == "content" and ("http-equiv", "refresh") in attrs:
                scan.links += [(match[1], line) for match in [_REFRESH.match(value or "")] if match]
            elif name == "id":
                if value in scan.ids:
                    scan.faults.append((line, f"the id {value!r} stands twice"))
                scan.ids.add(value or "")
        if tag == "img" and not any(name == "alt" for name, _ in attrs):
            scan.faults.append((line, "an <img> has no alt text"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat <img/> like <img>; inside an <svg> any tag may close itself."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open_tags.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close a tag; it is a fault if another tag was opened last."""
        line = self.getpos()[0]
        if self.open_tags and self.open_tags[-1][0] == tag:
            self.open_tags.pop()
        elif any(name == tag for name, _ in self.open_tags):
            while (last := self.open_tags.pop())[0] != tag:
                self.scan.faults.append((last[1], f"<{last[0]}> is not closed before </{tag}>"))
        else:
            self.scan.faults.append((line, f"</{tag}> closes nothing"))
