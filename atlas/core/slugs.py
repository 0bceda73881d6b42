"""Slugs: the parts of addresses that stand for layers and families, safe as names of files.

A slug is part of a permanent URL, so it is a function of the layer's name alone, wherever two names
do not differ by case only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

# Names that mean something else to the site or to a file system.
_RESERVED = re.compile(
    r"(?i)index|input|404|atlas|search|families|family|method|(con|prn|aux|nul|com\d|lpt\d)(\..*)?"
)
# family_curves.html is the page of a family.
_FAMILY = re.compile(r"(?i)family_")
_PROPOSAL = re.compile(r"-proposal-\d+$")
_INDEX_TAIL = re.compile(r"_(\d+)$")


def layer_slug(name: str) -> str:
    """Return the safe file stem of a layer's name: letters, digits, ".", "_" and "-" only.

    A trailing "_3" becomes "-3", because "conv2d_3" is the page of neuron 3 of layer "conv2d".
    A name that loses anything else gets the start of its SHA-256, so that no two names share a slug. So does
    a name that starts like the address of a family's page.
    """
    tail = _INDEX_TAIL.sub(r"-\1", name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", tail)
    safe = re.sub(r"\.{2,}", ".", safe).strip(".-_")[:80]
    safe = _FAMILY.sub("family-", safe, count=1) if _FAMILY.match(safe) else safe
    ambiguous = _INDEX_TAIL.search(name) is None and re.search(r"-\d+$", name)
    if safe == tail and not ambiguous and not _RESERVED.fullmatch(safe):
        return safe
    return f"{safe or 'layer'}-x{_digest(name)}"


def layer_slugs(names: Sequence[str]) -> dict[str, str]:
    """Return a slug for each name, unique even on file systems that ignore case."""
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        slug = layer_slug(name)
        while slug.casefold() in taken:
            slug = f"{slug}-x{_digest(name)}"
        taken.add(slug.casefold())
        slugs[name] = slug
    return slugs


def family_slugs(names: Sequence[str]) -> dict[str, str]:
    """Return a safe part of an address for each family's name, unique even where case is ignored.

    "Curves, thin" becomes "curves-thin"; a name that loses more than case and punctuation, or looks like a
    proposal's, gets the start of its SHA-256.
    """
    slugs: dict[str, str] = {}
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60]
        plain = slug and name.isascii() and len(name) <= 60 and not _PROPOSAL.search(slug)
        slug = slug if plain else f"{slug or 'x'}-x{_digest(name)}"
        while slug in slugs.values():
            slug = f"{slug}-x{_digest(name)}"
        slugs[name] = slug
    return slugs


def proposal_slug(layer: str, number: int) -> str:
    """Return the part of an address of a layer's proposed family; `layer` is a slug."""
    return f"{layer}-proposal-{number}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
