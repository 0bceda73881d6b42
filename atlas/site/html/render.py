"""Contexts -> HTML, through Jinja. One environment for all pages: making one takes longer than a page.

Gather, then render: the *_context modules fill records of texts, addresses and whole numbers from the store,
no HTML. An empty string stands for what there is not, so that a template needs no more than an `if`.

Everything is escaped; a template that names what a context has not fails.
"""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup

from atlas.site.html.anchors import SectionAnchors
from atlas.site.html.chrome import Chrome
from atlas.site.html.escaping import EscapingEnvironment
from atlas.site.reading.catalogue import Icon

# How many neurons' icons are held: those of some large layers, however many neurons the atlas has.
_ICONS = 8192


class TemplateRenderer:
    """The templates of a folder, with what every page shows."""

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
        # The same for every template: macros of one that lacks a global are made anew on each page.
        # Jinja's own serve none, and all are compared on each import.
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
        """Return a neuron's icon; a neuron stands on a hundred pages, and its icon is filled once."""
        return Markup(str(self._icon(icon, side, eager)).strip())

    def _embedded_html(self, icon: Icon, root: str) -> Markup:
        """Return a neuron's icon for a page in an iframe, filled once as well."""
        return Markup(str(self._embedded(icon, root)).strip())

    def page(self, kind: str, page: object) -> bytes:
        """Return the page that a template makes of a context."""
        return self._pages[kind].render(page=page).encode()
