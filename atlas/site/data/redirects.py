"""Former addresses of pages -> those that they lead to now.

A host of static files cannot redirect, so a small page stands at each former address and leads
on, from the disk too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from atlas.core.errors import SiteError, nearest, reason_of
from atlas.core.records import AtlasRecord
from atlas.site import urls

# Folders and a file that every system can hold; none that leads upwards or is hidden.
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.html")
# Pages that every site has.
_ALWAYS = frozenset({urls.HOME, urls.METHOD})
_EXPECTED = 'a JSON object of addresses: {"old.html": "mixed3b_379.html"}'


@dataclass(frozen=True, slots=True)
class RedirectPage:
    """What stands at a former address."""

    target: str
    """The new address, which may lead to a place in a page."""
    page: str
    """Address of the page that it leads to."""
    root: str
    """Relative way from the former address to the site's root."""


def redirect_page(old: str, target: str) -> RedirectPage:
    """Return what stands at a former address."""
    return RedirectPage(target, target.partition("#")[0], urls.root(old))


def read_redirects(path: Path) -> dict[str, str]:
    """Return what a file says, former address -> new one; raises SiteError for what no site could keep."""
    # Reading a pipe waits for ever, and some devices never end.
    if path.exists() and not path.is_file():
        raise SiteError(f"the redirects {path}", found="no regular file", expected=_EXPECTED)
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_Pairs)
        entries = msgspec.convert(getattr(found, "entries", None), list[tuple[str, str]])
    except OSError as error:
        raise SiteError(f"cannot read the redirects {path}: {reason_of(error)}") from error
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise SiteError(f"the redirects {path}", expected=_EXPECTED) from None
    redirects: dict[str, str] = {}
    for old, new in entries:
        if not _ADDRESS.fullmatch(old):
            raise SiteError(f"the redirect from {old!r}", expected="the address of an .html file in the site")
        if redirects.setdefault(old, new) != new:
            raise SiteError(f"the redirect from {old!r} leads to {redirects[old]!r} and to {new!r}")
        if old.casefold() in _ALWAYS:
            raise _taken(old, old)
    for old in redirects:
        _followed(redirects, old)
    return redirects


def resolved_redirects(redirects: Mapping[str, str], files: Collection[str]) -> dict[str, str]:
    """Return redirects that lead to pages of a site without a detour; `files` are the site's addresses.

    Raises SiteError for an address that is a file's of the site, a target that is no page, and a loop.
    """
    pages = {file for file in files if file.endswith(".html")}
    # Some file systems take names that differ by case alone for one.
    taken = {file.casefold() for file in files}
    for old in redirects:
        folders = (old[: slash.start()] for slash in re.finditer("/", old))
        for address in (old, *folders):
            if address.casefold() in taken:
                raise _taken(old, address)
        taken.add(old.casefold())
    return {old: _end(redirects, old, pages) for old in sorted(redirects)}


def check_redirects(redirects: Mapping[str, str], atlas: AtlasRecord) -> None:
    """Raise SiteError for what an atlas that is still to be computed cannot keep.

    Which families will be proposed is not known: a page that might be one's is let through.
    """
    slugs = {layer.name: layer.slug for layer in atlas.model.layers}
    files = {urls.HOME, urls.METHOD, *(urls.family_page(f.slug) for f in atlas.families)}
    for record in atlas.layers:
        slug = slugs[record.layer]
        files.add(urls.layer_page(slug))
        files.update(page(slug, n) for n in record.neurons for page in (urls.neuron_page, urls.embed_page))
    ends = {_followed(redirects, old).partition("#")[0] for old in redirects}
    resolved_redirects(redirects, files | {end for end in ends if end.startswith(("families.", "family_"))})


def redirects_json(redirects: Mapping[str, str]) -> bytes:
    """Return redirects as the file that `read_redirects` reads."""
    return msgspec.json.format(msgspec.json.encode(dict(sorted(redirects.items()))), indent=1) + b"\n"


def _taken(old: str, address: str) -> SiteError:
    return SiteError(f"the redirect from {old!r}", found=f"a file of the site at {address!r}")


def _followed(redirects: Mapping[str, str], old: str) -> str:
    """Return the address to which redirects lead in the end."""
    way, target = [old], redirects[old]
    while (page := target.partition("#")[0]) in redirects:
        if page in way:
            raise SiteError("redirects lead in a circle: " + " to ".join([*way, page]))
        way.append(page)
        target = redirects[page]
    return target


def _end(redirects: Mapping[str, str], old: str, pages: Collection[str]) -> str:
    """Follow redirects to a page."""
    target = _followed(redirects, old)
    page = target.partition("#")[0]
    if page not in pages:
        raise SiteError(
            f"the redirect from {old!r} leads to {target!r}, which is no page of this site",
            remedy=nearest(page, sorted(pages)),
        )
    return target


class _Pairs:
    """The entries of a JSON object, those of one name too."""

    def __init__(self, entries: list[tuple[str, object]]) -> None:
        self.entries = entries
