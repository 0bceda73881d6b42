"""The right half: store -> site folder. Nothing here knows TensorFlow."""

from __future__ import annotations

from atlas.site.finished.check import Problem, check_site
from atlas.site.web import Web
from atlas.site.writing.site import SiteResult, render_site

__all__ = ["Problem", "SiteResult", "Web", "check_site", "render_site"]
