"""The right half: a store becomes a folder of pages. Nothing here knows TensorFlow.

Other rooms use:

    writing.site: render_site: brings a site up to a store.
    web: where a site will be published, and the former addresses of its pages.
    urls: addresses: pure functions of layer, variant and number.
    wording: numbers and names as people read them.
    data.redirects: former addresses, read from a file.
    folder.site_folder: the folder that is written, and what it refuses.
    folder.status: what a site says of its own files.
    finished.check: check_site: every link, id and file of a finished site.
    finished.archive: a site as one zip file.
    finished.serve: a site on 127.0.0.1.
"""

from __future__ import annotations

from atlas.site.finished.check import Problem, check_site
from atlas.site.web import Web
from atlas.site.writing.site import SiteResult, render_site

__all__ = ["Problem", "SiteResult", "Web", "check_site", "render_site"]
