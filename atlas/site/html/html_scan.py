"""One HTML page -> its links, its ids and the faults of its tags.

One regular expression cuts a page into its tags and comments, in a quarter of the time of `html.parser`, as
https://html.spec.whatwg.org/multipage/parsing.html#tokenization says. Unlike a browser the scan repairs
nothing, lets any tag close itself, reads every <title> as text, and any CDATA to its end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import unescape
from itertools import accumulate, pairwise

# https://html.spec.whatwg.org/multipage/syntax.html#void-elements
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_LINKS = ("href", "src", "data-records")
_KEPT = frozenset((*_LINKS, "alt", "content", "http-equiv", "id", "rel"))
_REFRESH = re.compile(r"\s*\d+\s*;\s*url=(.*)", re.IGNORECASE)

# White space of HTML; \s has more. Quantifiers are possessive (*+), so that no page takes quadratic time.
_S = r" \t\n\r\f"
_NAME = rf"[a-zA-Z][^{_S}/>]*+"
_KEY = rf"[^{_S}/>][^{_S}/>=]*+"
_VALUE = rf"""[{_S}]*+=[{_S}]*+(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|(?!["'])([^{_S}>]*+))"""
# Without groups, so that `findall` returns whole tags.
_ATTRIBUTES = rf"(?:[{_S}/]*+{_KEY}(?:{_VALUE})?+)*+(?:[{_S}]++|/(?!>))*+".replace("([", "(?:[")


def _leaf(name: str) -> str:
    """Return the expression of an element of text alone, behind its "<", that has no link and no id."""
    return rf'{name}(?: (?!(?:{"|".join(_LINKS)}|id)=)[a-z-]++="[^"]*+")*+>[^<]*+</{name}>'


def _raw(name: str) -> str:
    """Return the expression of a start tag and the text behind it, as far as a "<" stands in that text."""
    letters = "".join(f"[{letter}{letter.upper()}]" for letter in name)
    text = rf"(?:[^<]*+<(?!/{letters}[{_S}/>]))*+"
    return rf"{letters}(?=[{_S}/>]){_ATTRIBUTES}(?:>{text}|/>|\Z)"


# A leaf, or as a group a tag or comment. Leaves have half of a page's tags and spare a quarter of the time.
_LEAVES = "|".join(map(_leaf, ("i", "em", "b", "small", "span", "td", "dt", "dd", "text")))
_TAG = re.compile(
    rf"<(?:{_LEAVES})|"
    rf"(<(?:{'|'.join(map(_raw, ('script', 'style', 'textarea', 'title')))}|/?{_NAME}{_ATTRIBUTES}(?:/?>|\Z)"
    r"|!--(?:-?>|.*?(?:--!?>|\Z))|!\[CDATA\[.*?(?:\]\]>|\Z)|[!?/][^>]*+(?:>|\Z)))",
    re.DOTALL,
)
_START = re.compile(f"<({_NAME})")
_END = re.compile(f"</({_NAME})")
# An attribute, or the end of the tag with the text behind it.
_PART = re.compile(rf"(/?>|{_KEY})(?:(?<=>).*|{_VALUE})?+", re.DOTALL)

_LINK, _CANONICAL, _ID, _FAULT = range(4)
# Pages share most of their tags, so `_read` keeps them; those with more characters are mostly pictures.
_LONG = 300


@dataclass(frozen=True)
class Scan:
    """The links, ids and faults of a page."""

    text: str
    """The page."""
    links: list[tuple[str, int]]
    """The links, each as (address, number of its tag)."""
    canonical: list[tuple[str, int]]
    """Canonical links; only these may contain the address where the site is published."""
    ids: set[str]
    """The ids of the page's elements."""
    faults: list[tuple[int, str]]
    """The faults, each as (line number, message); line 0 for the whole page."""

    @cached_property
    def lines(self) -> list[int]:
        """The line of each tag, from 1. Counted only when asked for, because most pages are faultless."""
        starts = [tag.start() for tag in _TAG.finditer(self.text) if tag[1]]
        between = (self.text.count("\n", *ends) for ends in pairwise([0, *starts]))
        return [1 + before for before in accumulate(between)]


def scan_html(text: str) -> Scan:
    """Return links, ids and faults of a page; only tags are checked, as browsers repair and so hide them."""
    tags = list(filter(None, _TAG.findall(text)))
    links, canonical, ids, faults = noted = [list[tuple[str, int]]() for _ in range(4)]
    # A tag that the end of the page cuts off takes in whatever follows, and is none.
    if tags and _TAG.findall(tags[-1] + " ") != tags[-1:]:
        tags.pop()
        faults.append(("a tag or comment never ends", len(tags)))
    opened, waiting = [("", 0)], Counter[str]()
    for number, tag in enumerate(tags):
        if tag == opened[-1][0]:
            waiting[opened.pop()[0]] -= 1
        elif tag[1] == "/":
            faults += _unpaired(opened, waiting, tag, number)
        else:
            end, notes = _read(tag) if len(tag) < _LONG else _read.__wrapped__(tag)
            if end:
                opened.append((end, number))
                waiting[end] += 1
            for kind, value in notes:
                noted[kind].append((value, number))
    faults += ((f"<{end[2:]} is never closed", number) for end, number in opened[1:])
    seen: set[str] = set()
    for value, number in ids:
        if value in seen:
            faults.append((f"the id {value!r} stands twice", number))
        seen.add(value)
    scan = Scan(text, links, canonical, seen, [])
    scan.faults.extend((scan.lines[number], message) for message, number in faults)
    if not any(match and match[1].lower() == "title" for match in map(_START.match, tags)):
        scan.faults.append((0, "the page has no <title>"))
    return scan


@lru_cache(1 << 12)
def _read(tag: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Return the end tag that a start tag waits for, or "", and what is noted, each as (kind, value)."""
    start = _START.match(tag)
    if start is None:
        return "", ()
    name, key = start[1].lower(), ""
    found: dict[str, str] = {}
    notes = []
    for key, double, single, bare in _PART.findall(tag, start.end()):
        key = key.lower()
        if key in found:
            notes.append((_FAULT, f"<{name}> has the attribute {key} twice"))
        elif key in _KEPT:
            found[key] = unescape(double or single or bare)
    kind = _CANONICAL if name == "link" and found.get("rel") == "canonical" else _LINK
    notes += [(kind, found[key]) for key in _LINKS if key in found]
    if "id" in found:
        notes.append((_ID, found["id"]))
    if name == "meta" and found.get("http-equiv") == "refresh":
        notes += [(_LINK, match[1]) for match in [_REFRESH.match(found.get("content", ""))] if match]
    if name == "img" and "alt" not in found:
        notes.append((_FAULT, "an <img> has no alt text"))
    return "" if key == "/>" or name in _VOID else f"</{name}>", tuple(notes)


def _unpaired(
    opened: list[tuple[str, int]], waiting: Counter[str], tag: str, number: int
) -> Iterator[tuple[str, int]]:
    """Yield the faults of an end tag that is not waited for, or written otherwise; close what it closes.

    `waiting` counts the end tags in `opened`: to look for one would take quadratic time.
    """
    match = _END.match(tag)
    if match is None:
        return
    end = f"</{match[1].lower()}>"
    if waiting[end]:
        while (last := opened.pop())[0] != end:
            waiting[last[0]] -= 1
            yield f"<{last[0][2:]} is not closed before {end}", last[1]
        waiting[end] -= 1
    else:
        yield f"{end} closes nothing", number
