"""The folder that a site is written to.

Each file is written under a temporary name and renamed. Files outside of the folder, and files that no render
wrote, are never replaced or removed. The status file, written before the first page, marks the folder as an
atlas.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from atlas.core.errors import SiteError, reason_of
from atlas.site import urls
from atlas.site.folder import status
from atlas.site.folder.status import FileState, SiteStatus

_ASIDE = ".atlas-site.part"
# Files that are written within one tick of the kernel's clock get the same time.
_TICK_S = 0.01
# Only Windows distinguishes text from binary files.
_BINARY = getattr(os, "O_BINARY", 0)
# Every page of an atlas contains this line (base.html). It distinguishes a site from a user's folder.
GENERATOR = b'<meta name="generator" content="circuit-atlas">'
# Files that a host or a repository keeps next to the pages, even before their first render;
# hidden files are allowed too.
_BESIDE = frozenset({"CNAME", "README", "LICENSE"})
_NAMED = 4
# State of a file that is going to be written: no file has a size of -1, so it never counts as intact.
_CLAIMED: FileState = ("", -1)


class SiteFolder:
    """A site folder that is being written. Open it with `open_site`."""

    def __init__(self, folder: Path, *, helper: int = 0) -> None:
        """Read the status of the last render; a helper, numbered from 1, gets its part of it from `begin`."""
        self.folder = folder
        self.status: SiteStatus = SiteStatus() if helper else status.load_status(folder)
        self.intact, self._was_doubtful = status.intact_files(folder, self.status.files)
        self.written: list[str] = []
        self.removed: list[str] = []
        self._prefix = f"{folder}{os.sep}"
        self._folders: set[str] = set()
        self._aside = f"{self._prefix}{_ASIDE}{helper or ''}"

    def is_intact(self, path: str, sha256: str) -> bool:
        """Return whether a file exists with the bytes of this SHA-256."""
        return path in self.intact and self.status.files[path][0] == sha256

    def write(self, path: str, data: bytes, *, sha256: str = "") -> None:
        """Write a file unless it already has the same bytes; `sha256` spares computing the hash."""
        digest = sha256 or hashlib.sha256(data).hexdigest()
        if self.is_intact(path, digest):
            return
        self._make_folder(path.rpartition("/")[0])
        self._replace(path, data)
        self.status.files[path] = (digest, len(data))
        self.intact.add(path)
        self.written.append(path)

    def claim(self, outputs: set[str]) -> None:
        """Enter the files to write in the status, so that the next render knows the files of a killed render.

        Raises SiteError when a file that no render wrote is in the place of one.
        """
        new = outputs - self.status.files.keys()
        foreign = sorted(path for path in new if self._is_foreign(path))
        if foreign:
            remedy = "move it away, or choose another folder"
            raise SiteError(f"the site {self.folder}", found=_unwritten(foreign), remedy=remedy)
        self.status.files.update(dict.fromkeys(new, _CLAIMED))
        if new:
            self.save()

    def _is_foreign(self, path: str) -> bool:
        """Return whether a file that no render wrote is at `path`, which is not in the status.

        If the status is lost, pages are still recognized by their generator line; other files then
        count as the atlas's own.
        """
        if not os.path.lexists(self._prefix + path):
            return False
        if path.endswith(".html"):
            return GENERATOR not in Path(self._prefix + path).read_bytes()
        return bool(self.status.files)

    def remove_all_but(self, outputs: set[str]) -> None:
        """Remove files of former renders that are not in `outputs`; a file that a user changed stays."""
        for path in sorted(self.status.files.keys() - outputs):
            # A file that is only claimed, yet exists, comes from a render that was killed.
            if path in self.intact or self.status.files[path] == _CLAIMED:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(self._prefix + path)
                    self.removed.append(path)
            del self.status.files[path]
        for folder in sorted({path.rpartition("/")[0] for path in self.removed} - {""}, reverse=True):
            with contextlib.suppress(OSError):
                os.removedirs(self._prefix + folder)

    def save(self) -> None:
        """Write the status file; call this after writing the files that it lists."""
        self._replace(status.NAME, status.encode_status(self.status))

    def settle(self) -> None:
        """Renew the status file's time if files were newer than it, as in a copied site.

        Otherwise the next render would read all these files again.
        """
        if self._was_doubtful:
            self.date()

    def date(self) -> None:
        """Make the status file newer than every other file, so that the next render need not read them."""
        time.sleep(_TICK_S)
        os.utime(self.folder / status.NAME)

    def begin(self, known: dict[str, FileState]) -> None:
        """Start a helper's next batch; `known` holds the states of the files that are intact."""
        self.status = SiteStatus(files=dict(known))
        self.intact = set(known)
        self.written = []

    def take_over(self, files: dict[str, FileState]) -> None:
        """Record files that a helper wrote as if this process had written them."""
        self.status.files.update(files)
        self.intact.update(files)
        self.written.extend(files)

    def _replace(self, path: str, data: bytes) -> None:
        # Unbuffered, because a site has six small files for each neuron, and buffers would double the cost.
        file = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
        finally:
            os.close(file)
        os.replace(self._aside, self._prefix + path)

    def _make_folder(self, folder: str) -> None:
        if folder in self._folders or not folder:
            return
        at = self.folder
        for part in folder.split("/"):
            at = at / part
            if at.is_symlink():
                raise SiteError(f"{at} is a link that leads out of the site", remedy="remove it")
        at.mkdir(parents=True, exist_ok=True)
        self._folders.add(folder)


@contextlib.contextmanager
def open_site(folder: Path) -> Iterator[SiteFolder]:
    """Make and lock a site's folder.

    Raises SiteError when it is a file, holds files but no atlas, or is being written, and when the operating
    system refuses to write it.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise SiteError(f"the site {folder}", found="a file", expected="a folder")
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            refuse_others(folder)
            target = SiteFolder(folder)
            yield target
            if target.written:
                _remove_asides(folder)
    except OSError as error:
        raise SiteError(f"cannot write the site {folder}: {reason_of(error)}") from error


def _remove_asides(folder: Path) -> None:
    """Remove the temporary files of renders and helpers that were killed."""
    with os.scandir(folder) as entries:
        asides = [entry.path for entry in entries if entry.name.startswith(_ASIDE)]
    for path in asides:
        os.remove(path)


def refuse_others(folder: Path) -> None:
    """Raise SiteError for a folder that holds files but no atlas, because pages might replace them."""
    home = folder / urls.HOME
    try:
        if not folder.is_dir() or (folder / status.NAME).exists():
            return
        if home.is_file() and GENERATOR in home.read_bytes():
            return
        names = sorted(name for name in os.listdir(folder) if name.partition(".")[0] not in {"", *_BESIDE})
    except OSError as error:
        raise SiteError(f"cannot read the site {folder}: {reason_of(error)}") from error
    if names:
        raise SiteError(
            f"the site {folder}",
            found=_unwritten(names),
            expected="an empty folder or an atlas",
            remedy="choose another with --site",
        )


def _unwritten(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more + ", which no atlas wrote"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, which leaves no lock file and ends with the process.

    Raises SiteError when another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock; there, two renders at once are not prevented.
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SiteError(
            f"the site {folder} is being written by another process", remedy="wait for it"
        ) from None
    try:
        yield
    finally:
        os.close(handle)
