"""The files of a site folder as they are to be published, and what a published site has beside them.

Hidden files are no part of a site. Beside its files a published site has a `404.html`, and a small page at
each address that `redirects.json` ({"old.html": "new.html"}) moves, where the folder itself has none.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator
from html import escape
from pathlib import Path

import msgspec

from atlas.errors import PublishError
from atlas.pages import status
from atlas.publish import headers
from atlas.publish.manifest import Entry, is_hidden, is_key
from atlas.publish.plan import HOME, LocalFile

NOT_FOUND = "404.html"
REDIRECTS = "redirects.json"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="circuit-atlas">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
{head}</head>
<body>
<h1>{title}</h1>
<p><a href="{href}">{text}</a></p>
</body>
</html>
"""


class SiteFiles:
    """A site's files: `files` by address, `contents` of those that the folder itself has not."""

    def __init__(self, site: Path) -> None:
        """Read names, sizes and, where the site's status cannot tell, bytes; raises PublishError."""
        if not (site / HOME).is_file():
            raise PublishError(f"there is no site in {site}", remedy="run `render` or `build` first")
        self._site = site
        found = dict(_found(site))
        redirects = _redirects(site, found)
        self.contents = {NOT_FOUND: _not_found()} | {old: _moved(old, new) for old, new in redirects.items()}
        self.contents = {key: data for key, data in self.contents.items() if key not in found}
        digests = _digests(site, found)
        self.files = {key: _local(key, digests[key], size) for key, size in sorted(found.items())}
        for key, data in self.contents.items():
            self.files[key] = _local(key, hashlib.sha256(data).hexdigest(), len(data))

    def content(self, key: str) -> bytes:
        """Return the bytes of a file; raises PublishError when they are no longer those that were planned."""
        data = self.contents[key] if key in self.contents else self.path(key).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.files[key].entry.sha256:
            what = f"{key} changed while the site was published"
            raise PublishError(what, remedy="publish again when the site is done")
        return data

    def path(self, key: str) -> Path:
        """Return where a file of the folder is."""
        return self._site / key


def _local(key: str, sha256: str, size: int) -> LocalFile:
    return LocalFile(Entry(sha256, headers.content_type(key), headers.cache_control(key)), size)


def _found(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (address, bytes) of every file that is not hidden."""
    for folder, folders, names in os.walk(site):
        prefix = Path(folder).relative_to(site).as_posix() + "/"
        prefix = "" if prefix == "./" else prefix
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in [*names, *folders]:
            if is_hidden(name):
                continue
            path = os.path.join(folder, name)
            if os.path.islink(path):
                raise PublishError(f"{path} is a link", expected="plain files in a site", remedy="remove it")
            if name in folders:
                continue
            if not is_key(prefix + name):
                expected = "letters, digits, ., _ and - in a site's addresses"
                raise PublishError(f"cannot publish {prefix + name!r}", expected=expected)
            yield prefix + name, os.stat(path).st_size


def _digests(site: Path, found: dict[str, int]) -> dict[str, str]:
    """Return the SHA-256 of every file; the site's status tells those that are as the render left them."""
    known = status.load_status(site)
    intact, _ = status.intact_files(site, known.files)
    digests = {}
    for key, size in found.items():
        if key in intact and known.files[key][1] == size:
            digests[key] = known.files[key][0]
        else:
            with (site / key).open("rb") as stream:
                digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def _redirects(site: Path, found: dict[str, int]) -> dict[str, str]:
    if REDIRECTS not in found:
        return {}
    try:
        redirects = msgspec.json.decode((site / REDIRECTS).read_bytes(), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        expected = '{"old.html": "new.html"}'
        raise PublishError(f"cannot read the site's {REDIRECTS}: {error}", expected=expected) from None
    for old, new in redirects.items():
        address = new.partition("#")[0]
        if not (is_key(old) and headers.is_page(old)):
            raise PublishError(f"{REDIRECTS} of the site", found=repr(old), expected="a page's address")
        if address not in found and address not in redirects:
            raise PublishError(f"{REDIRECTS} leads {old} to {new!r}, which the site has not")
    return redirects


def _not_found() -> bytes:
    text = "To the atlas's first page"
    return _PAGE.format(title="There is no such page", head="", href=HOME, text=text).encode()


def _moved(old: str, new: str) -> bytes:
    href = escape(posixpath.relpath(new, posixpath.dirname(old) or "."))
    head = f'<meta http-equiv="refresh" content="0; url={href}">\n<link rel="canonical" href="{href}">\n'
    return _PAGE.format(title="This page has moved", head=head, href=href, text=href).encode()
