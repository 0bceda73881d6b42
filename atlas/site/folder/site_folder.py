"""The folder a site is written to.

Files are written aside and renamed, none outside of it, and none that is somebody else's is replaced or
removed. The status, written before the first page, marks a folder as an atlas's.
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
# What is written within one tick of the kernel's clock bears the same time.
_TICK_S = 0.01
# Only Windows distinguishes texts from bytes.
_BINARY = getattr(os, "O_BINARY", 0)
# What every page of an atlas says of itself (base.html): distinguishes a site from a user's folder.
GENERATOR = b'<meta name="generator" content="circuit-atlas">'
# What a host or a repository keeps beside the pages, before their first render too; hidden files as well.
_BESIDE = frozenset({"CNAME", "README", "LICENSE"})
_NAMED = 4
# A file that is to be written: never taken for intact.
_CLAIMED: FileState = ("", -1)


class SiteFolder:
    """A site folder that is being written. Open one with `open_site`."""

    def __init__(self, folder: Path, *, helper: int = 0) -> None:
        """Read the status that the last render left; a `helper` gets what it needs of it."""
        self.folder = folder
        self.status: SiteStatus = SiteStatus() if helper else status.load_status(folder)
        self.intact, self._was_doubtful = status.intact_files(folder, self.status.files)
        self.written: list[str] = []
        self.removed: list[str] = []
        self._prefix = f"{folder}{os.sep}"
        self._folders: set[str] = set()
        self._aside = f"{self._prefix}{_ASIDE}{helper or ''}"

    def is_intact(self, path: str, sha256: str) -> bool:
        """Return whether a file is there with these bytes."""
        return path in self.intact and self.status.files[path][0] == sha256

    def write(self, path: str, data: bytes, *, sha256: str = "") -> None:
        """Write a file unless it is there with the same bytes."""
        digest = sha256 or hashlib.sha256(data).hexdigest()
        if self.is_intact(path, digest):
            return
        self._make_folder(path.rpartition("/")[0])
        self._replace(path, data)
        self.status.files[path] = (digest, len(data))
        self.intact.add(path)
        self.written.append(path)

    def claim(self, outputs: set[str]) -> None:
        """Enter in the status what is to be written, so that the files of a render that is killed are known.

        Raises SiteError when somebody else's file is in the place of one.
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
        """Return whether there is a file that the status does not know; where that is lost, pages show it."""
        if not os.path.lexists(self._prefix + path):
            return False
        if path.endswith(".html"):
            return GENERATOR not in Path(self._prefix + path).read_bytes()
        return bool(self.status.files)

    def remove_all_but(self, outputs: set[str]) -> None:
        """Remove what former renders wrote and this one did not; a file that somebody changed stays."""
        for path in sorted(self.status.files.keys() - outputs):
            # What was claimed and is there, a render that was killed has written.
            if path in self.intact or self.status.files[path] == _CLAIMED:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(self._prefix + path)
                    self.removed.append(path)
            del self.status.files[path]
        for folder in sorted({path.rpartition("/")[0] for path in self.removed} - {""}, reverse=True):
            with contextlib.suppress(OSError):
                os.removedirs(self._prefix + folder)

    def save(self) -> None:
        """Write the status file, after every file that it lists."""
        self._replace(status.NAME, status.encode_status(self.status))

    def settle(self) -> None:
        """Spare the next render from reading files that are newer than the status, as in a copied site."""
        if self._was_doubtful:
            self.date()

    def date(self) -> None:
        """Make the status newer than every file, so that the next render need not read them."""
        time.sleep(_TICK_S)
        os.utime(self.folder / status.NAME)

    def begin(self, known: dict[str, FileState]) -> None:
        """Start a helper's next shard; `known` are the files that are intact."""
        self.status = SiteStatus(files=dict(known))
        self.intact = set(known)
        self.written = []

    def take_over(self, files: dict[str, FileState]) -> None:
        """Hold a helper's files, which it wrote, for one's own."""
        self.status.files.update(files)
        self.intact.update(files)
        self.written.extend(files)

    def _replace(self, path: str, data: bytes) -> None:
        # A buffered file would cost as much again: a site has six small files for each neuron.
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
    """Make and lock a site's folder; what the operating system refuses becomes a SiteError.

    Raises SiteError when it is a file, holds files but no atlas, or is being written.
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
    """Remove what writers that were killed left, helpers of a former render among them."""
    with os.scandir(folder) as entries:
        asides = [entry.path for entry in entries if entry.name.startswith(_ASIDE)]
    for path in asides:
        os.remove(path)


def refuse_others(folder: Path) -> None:
    """Raise SiteError for a folder that holds files but no atlas: some might be in the place of pages."""
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
    """Hold a lock on the folder itself, which leaves no file behind and ends with the process.

    Raises SiteError when another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two renders at once are then on their own.
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
