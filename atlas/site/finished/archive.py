"""A site -> one zip file; the unpacked site opens from the disk. Equal sites give equal bytes.

The archive holds the files that the site's status lists, with the bytes that the render wrote. All of them
are in one folder, named after the atlas's title.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from atlas.core.errors import SiteError, reason_of
from atlas.core.slugs import family_slugs
from atlas.site import urls
from atlas.site.folder.site_folder import locked
from atlas.site.folder.status import FileState, intact_files, load_status
from atlas.site.writing.plan import LISTS

# Files that are compressed already, or hold numbers that hardly compress.
_STORED = (".jpg", ".png", ".npz")
_PIECE = 1 << 20
# A regular file, rw-r--r--; without this mode, some programs unpack files that nobody may read.
_MODE = 0o100644 << 16
_UNIX = 3
_OTHER = "other bytes than the render wrote"


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file that was written."""

    path: Path
    """The zip file."""
    n_files: int
    """Number of files in it."""
    n_bytes: int
    """Size of the zip file in bytes."""


class _AtlasIndex(msgspec.Struct):
    """The part of atlas.json that names the archive's folder."""

    title: str
    """The atlas's title."""


def archive_path(site: Path) -> Path:
    """Return the default path of a site's archive: next to the site, `site.zip` for `site`."""
    whole = site.resolve()
    return site.with_name(f"{whole.name}.zip") if site.name == whole.name else Path(f"{whole}.zip")


def finished_files(site: Path, done: str) -> dict[str, FileState]:
    """Return the files of a site by address, sorted, with their states.

    Raises SiteError if the render has not ended; it says that the site cannot be `done` ("archived").
    """
    _check_site(site)
    status = load_status(site)
    # The lists of all files are written last; only then does the status contain them.
    if LISTS not in status.pages or not {urls.ATLAS_JSON, urls.CHECKSUMS} <= status.files.keys():
        raise SiteError(
            f"the site {site} cannot be {done}",
            expected="a site whose render has ended",
            remedy="render it again",
        )
    return dict(sorted(status.files.items()))


def _check_site(site: Path) -> None:
    if not (site / urls.HOME).is_file():
        raise SiteError(
            f"there is no site in {site}",
            expected="a folder that render wrote",
            remedy="run `render` or `build` first",
        )


def check_whole(site: Path, done: str) -> None:
    """Raise SiteError unless a site has all files that its render wrote, with the same bytes."""
    files = finished_files(site, done)
    intact, _ = intact_files(site, files)
    for name in files:
        if name not in intact:
            raise _damaged(site, name, _OTHER if (site / name).exists() else "nothing")


def check_archive(path: Path) -> None:
    """Raise SiteError if something other than a zip file is at an archive's path."""
    if os.path.lexists(path) and not (path.is_file() and zipfile.is_zipfile(path)):
        raise SiteError(
            f"the archive {path}", found="something that is no zip file", remedy="move it, or choose another"
        )


def write_archive(
    site: Path, path: Path | None = None, *, progress: Callable[[int, int], object] | None = None
) -> Archive:
    """Write a site's archive, under a temporary name until it is complete, and return it.

    `progress` is called with the number of files done, and their total. Raises SiteError when there is no
    site, when a file differs from what the render wrote, when something other than a zip file is at the
    archive's path, or when the operating system refuses.
    """
    _check_site(site)  # Locking would fail with another error if the folder is missing.
    path = path or archive_path(site)
    aside = path.with_name(f".{path.name}.part")
    try:
        with locked(site):
            files = finished_files(site, "archived")
            check_archive(path)
            try:
                _write(site, files, aside, progress or (lambda done, total: None))
                os.replace(aside, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(aside)
    except OSError as error:
        raise SiteError(f"cannot write the archive {path}: {reason_of(error)}") from error
    return Archive(path, len(files), path.stat().st_size)


def _folder(site: Path, files: dict[str, FileState]) -> str:
    """Return the name of the folder in the archive."""
    data = (site / urls.ATLAS_JSON).read_bytes()
    if hashlib.sha256(data).hexdigest() != files[urls.ATLAS_JSON][0]:
        raise _damaged(site, urls.ATLAS_JSON, _OTHER)
    title = msgspec.json.decode(data, type=_AtlasIndex).title
    return family_slugs([title])[title]


def _damaged(site: Path, name: str, found: str) -> SiteError:
    return SiteError(f"the file {name} of the site {site}", found=found, remedy="render the site again")


def _write(
    site: Path, files: dict[str, FileState], aside: Path, progress: Callable[[int, int], object]
) -> None:
    folder = _folder(site, files)
    with zipfile.ZipFile(aside, "w") as archive:
        for at, (name, (sha256, size)) in enumerate(files.items(), 1):
            # ZipInfo's own date is 1980-01-01.
            info = zipfile.ZipInfo(f"{folder}/{name}")
            info.create_system, info.external_attr, info.file_size = _UNIX, _MODE, size
            stored = name.endswith(_STORED)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            if not (site / name).is_file():
                raise _damaged(site, name, "nothing")
            if _copy(site / name, archive, info) != sha256:
                raise _damaged(site, name, _OTHER)
            progress(at, len(files))


def _copy(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Copy a file into the archive piece by piece, and return the SHA-256 of the copied bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(info, "w") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()
