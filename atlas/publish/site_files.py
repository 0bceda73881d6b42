"""The files to publish: those of a site folder, and a generated `404.html` where the folder has none.

Hidden files are not published.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from atlas.core.errors import PublishError
from atlas.publish import headers
from atlas.publish.manifest import ManifestEntry, is_hidden, is_key
from atlas.publish.plan import LocalFile
from atlas.site.folder import status
from atlas.site.urls import HOME

NOT_FOUND = "404.html"
_IMAGES = "images/"
_NOT_FOUND = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>There is no such page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="circuit-atlas">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
</head>
<body>
<h1>There is no such page</h1>
<p><a href="{HOME}">To the atlas's first page</a></p>
</body>
</html>
"""


class SiteFiles:
    """The files to publish, `files` by address; `contents` has the bytes of those outside the folder."""

    def __init__(self, site: Path, part: str = "all") -> None:
        """Read names and sizes, and the bytes of files that the site's status lacks; raises PublishError.

        `part` "images" takes only the folder images/, "pages" all but it.
        """
        if not (site / HOME).is_file():
            raise PublishError(f"there is no site in {site}", remedy="run `render` or `build` first")
        self._site = site
        sizes = dict(_sizes(site))
        if part != "all":
            sizes = {k: size for k, size in sizes.items() if k.startswith(_IMAGES) == (part == "images")}
        has_404 = NOT_FOUND in sizes or part == "images"
        self.contents = {} if has_404 else {NOT_FOUND: _NOT_FOUND.encode()}
        digests = _digests(site, sizes)
        self.files = {key: _local(key, digests[key], size) for key, size in sorted(sizes.items())}
        for key, data in self.contents.items():
            self.files[key] = _local(key, hashlib.sha256(data).hexdigest(), len(data))

    def content(self, key: str) -> bytes:
        """Return the bytes of a file; raises PublishError when they have changed since the plan was made."""
        data = self.contents[key] if key in self.contents else self.path(key).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.files[key].entry.sha256:
            what = f"{key} changed while the site was published"
            raise PublishError(what, remedy="publish again when the site is done")
        return data

    def path(self, key: str) -> Path:
        """Return the path of a file in the folder."""
        return self._site / key


def _local(key: str, sha256: str, size: int) -> LocalFile:
    return LocalFile(ManifestEntry(sha256, headers.content_type(key), headers.cache_control(key)), size)


def _sizes(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (address, bytes) of every file that is not hidden; raises PublishError for links, bad names."""
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


def _digests(site: Path, sizes: dict[str, int]) -> dict[str, str]:
    """Return the SHA-256 of every file: from the site's status if the file is intact, else from its bytes."""
    state = status.load_status(site)
    intact, _ = status.intact_files(site, state.files)
    digests = {}
    for key, size in sizes.items():
        if key in intact and state.files[key][1] == size:
            digests[key] = state.files[key][0]
        else:
            digests[key] = status.file_sha256(site / key)
    return digests
