"""Section headings of templates -> headings with a link to their section.

Done to a template's text before it is compiled, so that no section of a page can be forgotten, and a page
costs nothing more to render.
"""

from __future__ import annotations

import re

from jinja2.ext import Extension

_HEADED = re.compile(
    r"""(<section\b[^>]*?\bid="(?P<id>[^"]+)"[^>]*>  # a section with an id, which may be filled in later
        (?:(?!<section\b|</section>).)*?             # of its own, none of a section inside
        <h(?P<level>[23])\b[^>]*>(?:(?!</h).)*)      # its first heading
        </h(?P=level)>""",
    re.DOTALL | re.VERBOSE,
)


class SectionAnchors(Extension):
    """Gives the first heading of every `<section id="…">` a link to it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the template's text with the links."""
        return _HEADED.sub(_linked, source)


def _linked(match: re.Match[str]) -> str:
    # The sign is the style sheet's, so that a heading's text stays its own.
    link = f'<a class="anchor" href="#{match["id"]}" aria-label="Link to this section"></a>'
    return f"{match[1]} {link}</h{match['level']}>"
