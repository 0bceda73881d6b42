"""The right half: store -> site folder. Nothing here knows TensorFlow."""

from __future__ import annotations

from atlas.pages.check import Problem, check_site
from atlas.pages.site import SiteResult, render_site
from atlas.pages.web import Web

__all__ = ["Problem", "SiteResult", "Web", "check_site", "render_site"]
