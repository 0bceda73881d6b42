"""Publishing to a local folder, which a web server shows or the user copies to another place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from atlas.core.errors import PublishError, reason_of
from atlas.publish.manifest import ManifestEntry
from atlas.store.disk import write_aside

# More than the cores, because each write waits for the disk and not for the processor.
_N_WRITES = 8


class Folder:
    """A folder that a site is copied to; files outside of it are never written or removed."""

    def __init__(self, folder: Path, *, site: Path) -> None:
        """Open a target folder; raises PublishError if it contains the site, or is in it, or is a file."""
        self.n_uploads = _N_WRITES
        self._folder = folder
        there, source = os.path.realpath(folder), os.path.realpath(site)
        if Path(there).is_relative_to(source) or Path(source).is_relative_to(there):
            raise PublishError(f"the site {site} and the target {folder} lie in each other")
        if os.path.lexists(folder) and not folder.is_dir():
            raise PublishError(f"the target {folder}", found="a file", expected="a folder")

    def sizes(self) -> Mapping[str, int | None]:
        """Return the size in bytes of every file; raises PublishError."""
        with _in_words(self._folder):
            return dict(self._files())

    def _files(self) -> Iterator[tuple[str, int]]:
        for folder, _, names in os.walk(self._folder):
            prefix = Path(folder).relative_to(self._folder).as_posix() + "/"
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    size = os.lstat(os.path.join(folder, name)).st_size
                    yield prefix.removeprefix("./") + name, size

    def read(self, key: str) -> bytes | None:
        """Return a file's bytes, None where there is none; raises PublishError."""
        with _in_words(self._folder):
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, key: str, data: bytes, entry: ManifestEntry) -> None:
        """Write a file; the headers in `entry` are not used. Raises PublishError."""
        with _in_words(self._folder):
            write_aside(self._path(key), data)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files, and folders that become empty; raises PublishError."""
        with _in_words(self._folder):
            for key in keys:
                with contextlib.suppress(FileNotFoundError):
                    self._path(key).unlink()
            for folder in sorted({key.rpartition("/")[0] for key in keys}, reverse=True):
                with contextlib.suppress(OSError):
                    while folder:
                        os.rmdir(self._folder / folder)
                        folder = folder.rpartition("/")[0]

    def give_up(self) -> None:
        """Do nothing, because writes to a folder are not tried again."""

    def _path(self, key: str) -> Path:
        """Return the path of a file; raises PublishError if one of its folders is a link."""
        at = self._folder
        for name in key.split("/")[:-1]:
            at = at / name
            if at.is_symlink():
                raise PublishError(f"{at} is a link that leads out of the target", remedy="remove it")
        return self._folder / key


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Raise PublishError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise PublishError(f"cannot publish to {folder}: {reason_of(error)}") from None
