"""Page records -> HTML, with Jinja. All pages share one environment: making one takes longer than a page.

Pages are made in two steps. First, modules of `neuron/` and `overview/` fill records from the store: texts,
addresses and whole numbers, but no HTML. A missing text is an empty string or None, so a template needs no
more than an `if`. Then a template turns the record into HTML. All values are escaped, and a template that
reads a name which does not exist fails.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup

from atlas.site.html.anchors import SectionAnchors
from atlas.site.html.chrome import Chrome
from atlas.site.html.escaping import EscapingEnvironment
from atlas.site.reading.catalogue import Icon

# The start of a picture's address in a page, or in a page in a folder.
_PICTURE = re.compile(r'\b(src|href|content)="(?:\.\./)?images/')
# Number of icons in memory: those of a few large layers, however many neurons the atlas has.
_ICONS = 8192


class TemplateRenderer:
    """The compiled templates of a folder, with the parts that all pages share."""

    def __init__(self, folder: Path, chrome: Chrome) -> None:
        """Compile the templates."""
        self.folder, self.chrome = folder, chrome
        environment = EscapingEnvironment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[SectionAnchors],
        )
        # All templates get the same globals; with others, Jinja would make their macros again on every page.
        # Jinja's default globals are dropped: no template uses them, and each import compares them all.
        environment.globals = {"site": chrome}
        self._icon = vars(environment.get_template("_macros/icon.html").module)["icon"]
        environment.filters["icon"] = functools.lru_cache(_ICONS)(self._icon_html)
        self._embedded = vars(environment.get_template("_macros/embedded.html").module)["embedded"]
        environment.filters["embedded"] = functools.lru_cache(_ICONS)(self._embedded_html)
        self._pages = {
            kind: environment.get_template(f"{kind}.html")
            for kind in ("index", "layer", "neuron", "families", "family", "method", "embed", "redirect")
        }

    def _icon_html(self, icon: Icon, side: int = 0, eager: bool = False) -> Markup:
        """Return the HTML of a neuron's icon; it is made once and cached, as a hundred pages show it."""
        return Markup(str(self._icon(icon, side, eager)).strip())

    def _embedded_html(self, icon: Icon, root: str) -> Markup:
        """Return the HTML of a neuron's icon for a page in an iframe, cached too."""
        return Markup(str(self._embedded(icon, root)).strip())

    def page(self, kind: str, page: object) -> bytes:
        """Return the HTML page, as UTF-8, that the template of a kind of page makes from a page's record."""
        html = self._pages[kind].render(page=page)
        if self.chrome.images:
            # Records have pictures' addresses within the site, wherever these lie.
            html = _PICTURE.sub(rf'\1="{self.chrome.images}images/', html)
        return html.encode()
