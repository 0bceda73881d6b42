"""Turns a store into a folder of web pages and data files. TensorFlow is never imported here.

Other rooms use:

    writing.site: render_site: writes every page of a site that its store has changed.
    writing.extent: how many files and bytes a site will have, told before it is computed.
    web: where a site will be published, and the former addresses of its pages.
    urls: the addresses of a site's files, as pure functions of layer, variant and number.
    wording: numbers and names in the form that readers see.
    data.redirects: former addresses, read from a file.
    folder.site_folder: the folder that a site is written to, and the files that it must not replace.
    folder.status: a site's record of the files that it consists of.
    finished.check: check_site: checks every link, id and file of a finished site.
    finished.archive: packs a site into one zip file.
    finished.serve: serves a site on 127.0.0.1.
"""

from __future__ import annotations

from atlas.site.finished.check import Problem, check_site
from atlas.site.web import Web
from atlas.site.writing.site import SiteResult, render_site

__all__ = ["Problem", "SiteResult", "Web", "check_site", "render_site"]
