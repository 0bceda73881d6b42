"""A site -> one zip file, which opens from the disk once it is unpacked; the same site, the same bytes.

Archived is what the site's status lists: files that a render wrote, each as it was written. Everything
lies in one folder, named after the atlas's title.
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

# What is compressed already, or is noise to a compressor.
_STORED = (".jpg", ".png", ".npz")
_PIECE = 1 << 20
# A plain file that its owner may change and everybody read; without it some programs unpack unreadable files.
_MODE = 0o100644 << 16
_UNIX = 3
_OTHER = "other bytes than the render wrote"


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file that was written: where, how many files are in it, and its size."""

    path: Path
    n_files: int
    n_bytes: int


class _AtlasIndex(msgspec.Struct):
    title: str


def archive_path(site: Path) -> Path:
    """Return where a site's archive goes: beside it, `site.zip` for `site`."""
    whole = site.resolve()
    return site.with_name(f"{whole.name}.zip") if site.name == whole.name else Path(f"{whole}.zip")


def finished_files(site: Path, done: str) -> dict[str, FileState]:
    """Return the files of a site whose render has ended, by address; SiteError says what cannot be `done`."""
    _check_site(site)
    known = load_status(site)
    # The lists of all files are written last, and entered in the status then.
    if LISTS not in known.pages or not {urls.ATLAS_JSON, urls.CHECKSUMS} <= known.files.keys():
        raise SiteError(
            f"the site {site} cannot be {done}",
            expected="a site whose render has ended",
            remedy="render it again",
        )
    return dict(sorted(known.files.items()))


def _check_site(site: Path) -> None:
    if not (site / urls.HOME).is_file():
        raise SiteError(
            f"there is no site in {site}",
            expected="a folder that render wrote",
            remedy="run `render` or `build` first",
        )


def check_whole(site: Path, done: str) -> None:
    """Raise SiteError for a site that has not all the files, with the bytes, that its render wrote."""
    files = finished_files(site, done)
    intact, _ = intact_files(site, files)
    for name in files:
        if name not in intact:
            raise _damaged(site, name, _OTHER if (site / name).exists() else "nothing")


def check_archive(path: Path) -> None:
    """Raise SiteError when something that is no zip file stands in an archive's place."""
    if os.path.lexists(path) and not (path.is_file() and zipfile.is_zipfile(path)):
        raise SiteError(
            f"the archive {path}", found="something that is no zip file", remedy="move it, or choose another"
        )


def write_archive(
    site: Path, path: Path | None = None, *, progress: Callable[[int, int], object] | None = None
) -> Archive:
    """Write a site's archive aside and put it in its place; `progress` gets the files done and in all.

    Raises SiteError when there is no site, when a file is not as the render wrote it, when something that
    is no zip file stands in the archive's place, or when the operating system refuses.
    """
    _check_site(site)  # before it is locked
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
    """Copy a file into the archive, a piece at a time; return the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(info, "w") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()
