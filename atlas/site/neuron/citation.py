"""Citations of pages, for papers that use them: a BibTeX entry, and a line of plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atlas.site.reading.catalogue import Catalogue
from atlas.site.wording import described

# Name of this program among the versions in the atlas record (atlas.build.resolve).
_PROGRAM = "circuit-atlas"


@dataclass(frozen=True, slots=True)
class Citation:
    """How to cite a page."""

    bibtex: str
    """A BibTeX entry of several lines."""
    plain: str
    """A line of plain text, to be followed by the page's address."""
    href: str
    """Address of the page within the site."""


def citation(catalogue: Catalogue, what: str, href: str, *, url: str = "") -> Citation:
    """Return the citation of a page that shows `what`; it has no web address without the site's `url`."""
    atlas, model = catalogue.atlas, catalogue.model
    title = f"{what} of {model.name}"
    key = re.sub(r"[^A-Za-z0-9_.-]", "", href.removesuffix(".html"))
    made = " ".join(filter(None, (_PROGRAM, atlas.versions.get(_PROGRAM, ""))))
    sha256 = f"model SHA-256 {model.sha256[:16]}"
    lines = [
        f"@misc{{{key},",
        f"  title  = {{{_tex(title)}}},",
        f"  note   = {{Circuit atlas page {key}.html; {sha256}; made with {_tex(made)}}},",
        *([f"  howpublished = {{\\url{{{url}{href}}}}},"] if url else []),
        "}",
    ]
    plain = f"{title}. In: {described(atlas.title, model.name)}, made with {made}; {sha256}."
    return Citation("\n".join(lines), plain, href)


def _tex(text: str) -> str:
    """Return a text with TeX's special characters escaped."""
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(words.get(c, "\\" + c if c in "{}$&#_%" else c) for c in text)
