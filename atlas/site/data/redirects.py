"""Redirects from former addresses of pages to the present ones.

A host of static files cannot redirect. So the site has a small page at each former address, which sends the
browser on; this also works when the site is opened from the disk.
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

# Names that every file system allows; no "..", and nothing hidden.
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.html")
# Pages that every site has.
_ALWAYS = frozenset({urls.HOME, urls.METHOD})
_EXPECTED = 'a JSON object of addresses: {"old.html": "mixed3b_379.html"}'


@dataclass(frozen=True, slots=True)
class RedirectPage:
    """The template context of the page at a former address."""

    target: str
    """The new address, which may end in the "#id" of a place in the page."""
    page: str
    """Address of the page that `target` is in."""
    root: str
    """Relative path from the former address to the site's root."""


def redirect_page(old: str, target: str) -> RedirectPage:
    """Return the context of the page at the former address `old`."""
    return RedirectPage(target, target.partition("#")[0], urls.root(old))


def read_redirects(path: Path) -> dict[str, str]:
    """Return the redirects in a file, former address -> new one.

    Raises SiteError for a file that cannot be read, and for redirects that no site could have.
    """
    # Reading a pipe can wait for ever, and reading some devices never ends.
    if path.exists() and not path.is_file():
        raise SiteError(f"the redirects {path}", found="no regular file", expected=_EXPECTED)
    try:
        pairs = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_Pairs)
        entries = msgspec.convert(getattr(pairs, "entries", None), list[tuple[str, str]])
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
    """Return redirects that lead straight to pages of a site; `files` are the site's addresses.

    Raises SiteError for a former address where the site has a file, a target that is no page, and a loop.
    """
    pages = {file for file in files if file.endswith(".html")}
    # Some file systems treat names as equal that differ only in case.
    taken = {file.casefold() for file in files}
    for old in redirects:
        folders = (old[: slash.start()] for slash in re.finditer("/", old))
        for address in (old, *folders):
            if address.casefold() in taken:
                raise _taken(old, address)
        taken.add(old.casefold())
    return {old: _end(redirects, old, pages) for old in sorted(redirects)}


def check_redirects(redirects: Mapping[str, str], atlas: AtlasRecord, *, packed: bool = False) -> None:
    """Raise SiteError for redirects that cannot work in an atlas that is not computed yet.

    A `packed` site has no pages to embed (atlas.core.config.WebConfig).

    It is not known yet which families will be proposed, so redirects to pages of families are accepted.
    """
    slugs = {layer.name: layer.slug for layer in atlas.model.layers}
    files = {urls.HOME, urls.METHOD, *(urls.family_page(f.slug) for f in atlas.families)}
    for record in atlas.layers:
        slug = slugs[record.layer]
        files.add(urls.layer_page(slug))
        pages = (urls.neuron_page,) if packed else (urls.neuron_page, urls.embed_page)
        files.update(page(slug, n) for n in record.neurons for page in pages)
    ends = {_followed(redirects, old).partition("#")[0] for old in redirects}
    resolved_redirects(redirects, files | {end for end in ends if end.startswith(("families.", "family_"))})


def redirects_json(redirects: Mapping[str, str]) -> bytes:
    """Return redirects in the format that `read_redirects` reads."""
    return msgspec.json.format(msgspec.json.encode(dict(sorted(redirects.items()))), indent=1) + b"\n"


def _taken(old: str, address: str) -> SiteError:
    return SiteError(f"the redirect from {old!r}", found=f"a file of the site at {address!r}")


def _followed(redirects: Mapping[str, str], old: str) -> str:
    """Return the final address that a former one leads to; raises SiteError for a loop."""
    chain, target = [old], redirects[old]
    while (page := target.partition("#")[0]) in redirects:
        if page in chain:
            raise SiteError("redirects lead in a circle: " + " to ".join([*chain, page]))
        chain.append(page)
        target = redirects[page]
    return target


def _end(redirects: Mapping[str, str], old: str, pages: Collection[str]) -> str:
    """Return the final address that a former one leads to; raises SiteError where it is no page."""
    target = _followed(redirects, old)
    page = target.partition("#")[0]
    if page not in pages:
        raise SiteError(
            f"the redirect from {old!r} leads to {target!r}, which is no page of this site",
            remedy=nearest(page, sorted(pages)),
        )
    return target


class _Pairs:
    """The entries of a JSON object, including those with equal names."""

    def __init__(self, entries: list[tuple[str, object]]) -> None:
        self.entries = entries
