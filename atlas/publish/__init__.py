"""Publishing a site folder to a bucket, a branch of a git remote, or another folder.

Other rooms use the names below.
"""

from __future__ import annotations

from atlas.publish.command import publish_site
from atlas.publish.publication import Publication, publication
from atlas.publish.target import Access, Address, parse_address

__all__ = ["Access", "Address", "Publication", "parse_address", "publication", "publish_site"]
