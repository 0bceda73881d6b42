"""Where a site will be published, and the former addresses of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from atlas.core.config import WebConfig
from atlas.site import urls
from atlas.site.data.redirects import read_redirects

# Limit of GitHub Pages for a published site.
MAX_SITE_BYTES = 10**9
# With six files each, as many neurons have 12,000 files. GitHub Pages gives a deployment ten minutes.
MOST_UNPACKED = 2000


@dataclass(frozen=True, slots=True)
class Web:
    """Where a site will be published, and its former addresses."""

    url: str = ""
    """Address of the site's folder, with a slash at its end; "" where it is not known."""
    redirects: Mapping[str, str] = field(default_factory=dict)
    """New addresses within the site by former ones (atlas.site.data.redirects)."""
    packed: str = "auto"
    """"always" or "never"; "auto" packs a site of more than MOST_UNPACKED neurons (atlas.core.config)."""

    images: str = ""
    """Address of the folder that holds images/, with a slash at its end; "" where the site's own does."""

    def is_packed(self, n_neurons: int) -> bool:
        """Return whether a site of so many neurons has as few files as it can."""
        return self.packed == "always" or (self.packed == "auto" and n_neurons > MOST_UNPACKED)


def read_web(config: WebConfig) -> Web:
    """Return the web settings of a config; raise SiteError for a faulty file of redirects."""
    redirects = read_redirects(Path(config.redirects)) if config.redirects else {}
    return Web(_root(config.url), redirects, config.packed, _root(config.images))


def _root(url: str) -> str:
    """Return the address of a folder with a slash at its end, "" for none."""
    return url.rstrip("/") + "/" if url else ""


def sitemap(url: str, pages: list[str]) -> bytes:
    """Return a site's list of pages for search engines, https://www.sitemaps.org/protocol.html.

    The home page has the address of the folder, as on the page itself.
    """
    names = ["" if page == urls.HOME else page for page in pages]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *(f"<url><loc>{escape(url + name)}</loc></url>" for name in names),
        "</urlset>",
    ]
    return "\n".join(lines).encode() + b"\n"
