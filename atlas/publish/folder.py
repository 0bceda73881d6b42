"""A local folder as a target: what a web server shows, or what is copied somewhere else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from atlas.core.errors import PublishError, reason_of
from atlas.publish.manifest import ManifestEntry
from atlas.store.disk import write_aside

# Each waits for the disk, not for the processor.
_N_WRITES = 8


class Folder:
    """A folder that a site is copied into; nothing outside of it is written or removed."""

    def __init__(self, folder: Path, *, site: Path) -> None:
        """Refuse a folder that lies in the site, or the site in it; raises PublishError."""
        self.n_uploads = _N_WRITES
        self._folder = folder
        there, source = os.path.realpath(folder), os.path.realpath(site)
        if Path(there).is_relative_to(source) or Path(source).is_relative_to(there):
            raise PublishError(f"the site {site} and the target {folder} lie in each other")
        if os.path.lexists(folder) and not folder.is_dir():
            raise PublishError(f"the target {folder}", found="a file", expected="a folder")

    def sizes(self) -> Mapping[str, int | None]:
        """Return the bytes of every file; raises PublishError."""
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
        """Put a file; a folder keeps no headers. Raises PublishError."""
        with _in_words(self._folder):
            write_aside(self._path(key), data)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files, and folders that are then empty; raises PublishError."""
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
        """Do nothing: a folder is not waited for."""

    def _path(self, key: str) -> Path:
        """Return where a file goes; raises PublishError where a link leads elsewhere."""
        at = self._folder
        for name in key.split("/")[:-1]:
            at = at / name
            if at.is_symlink():
                raise PublishError(f"{at} is a link that leads out of the target", remedy="remove it")
        return self._folder / key


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PublishError(f"cannot publish to {folder}: {reason_of(error)}") from None
