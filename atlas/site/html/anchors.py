"""Adds to the section headings of templates a link to their section.

The links are added to a template's text before it is compiled. So no section can be forgotten, and
rendering a page takes no longer.
"""

from __future__ import annotations

import re

from jinja2.ext import Extension

_HEADED = re.compile(
    r"""(<section\b[^>]*?\bid="(?P<id>[^"]+)"[^>]*>  # a section with an id, perhaps an expression
        (?:(?!<section\b|</section>).)*?             # nothing that belongs to another section
        <h(?P<level>[23])\b[^>]*>(?:(?!</h).)*)      # its first heading
        </h(?P=level)>""",
    re.DOTALL | re.VERBOSE,
)


class SectionAnchors(Extension):
    """Adds to the first heading of every `<section id="…">` a link to that section."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the template's text with the links."""
        return _HEADED.sub(_linked, source)


def _linked(match: re.Match[str]) -> str:
    # The style sheet draws the link's sign, so the text of a heading does not change.
    link = f'<a class="anchor" href="#{match["id"]}" aria-label="Link to this section"></a>'
    return f"{match[1]} {link}</h{match['level']}>"
