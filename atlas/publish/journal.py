"""What a publish writes down in its target, so that one that was interrupted goes on where it was.

Before anything else changes, the journal says which files are a publish's own, and of which it is no longer
certain what they hold. Then parts list what is done, `BATCH` files each. At the end comes the manifest; after
the deletions the journal goes. Where there is a journal, it and its parts are valid, not the manifest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from atlas.core.errors import PublishError
from atlas.publish import manifest
from atlas.publish.headers import NEVER
from atlas.publish.manifest import FOLDER, JOURNAL, MANIFEST, Manifest, ManifestEntry
from atlas.publish.patience import ATTEMPTS
from atlas.publish.plan import PublishPlan, Remote
from atlas.publish.target import Target

# So many uploads are at most done again, beside those under way.
BATCH = 100
_HEADERS = ManifestEntry("", "application/json", NEVER)


def read_remote(target: Target) -> Remote:
    """Return what a target holds; raises PublishError."""
    sizes = target.sizes()
    finished = _read(target, MANIFEST, sizes)
    published = frozenset(finished.files if finished else ())
    journal = _read(target, JOURNAL, sizes)
    own = journal or finished or Manifest()
    entries = dict(own.files)
    if journal:
        # A part that cannot be read says nothing: its files are sent again.
        for key in sorted(key for key in sizes if key.startswith(f"{FOLDER}done-")):
            with contextlib.suppress(PublishError):
                done = _read(target, key, sizes)
                entries |= done.files if done and done.run == journal.run else {}
    there = {key: size for key, size in sizes.items() if not manifest.is_hidden(key)}
    return Remote(entries, published, there, journal is not None)


class Journal:
    """The notes of one publish; `run` identifies it."""

    def __init__(self, target: Target, plan: PublishPlan, remote: Remote, *, run: str) -> None:
        """Prepare; nothing is written yet."""
        self._target = target
        self._plan = plan
        self._remote = remote
        self._run = run
        self._n_parts = 0
        self._pending: list[str] = []

    def begin(self) -> None:
        """Say which files are about to change; raises PublishError, as all methods do."""
        open_ = dict.fromkeys((*self._plan.added, *self._plan.changed))
        self._write(JOURNAL, {**self._remote.entries, **open_})

    def note(self, key: str) -> None:
        """Say that a file is uploaded; what is said of the last ones may wait for `settle`."""
        self._pending.append(key)
        if len(self._pending) >= BATCH:
            self._write_part()

    def settle(self) -> None:
        """Write what waits, and make sure that no other publish has begun meanwhile."""
        if self._pending:
            self._write_part()
        found = _read(self._target, JOURNAL, {JOURNAL: None})
        if found is None or found.run != self._run:
            remedy = "when it is done, publish again"
            raise PublishError("another publish to the same target has begun meanwhile", remedy=remedy)

    def finish(self) -> None:
        """Write the manifest."""
        self._write(MANIFEST, self._plan.final, run="")

    def end(self) -> None:
        """Remove the journal, then its parts, also those of publishes that were interrupted."""
        self._target.delete([JOURNAL])
        parts = [key for key in self._target.sizes() if key.startswith(f"{FOLDER}done-")]
        if parts:
            self._target.delete(sorted(parts))

    def _write_part(self) -> None:
        self._n_parts += 1
        done: dict[str, ManifestEntry | None] = {key: self._plan.files[key].entry for key in self._pending}
        self._write(manifest.part(self._n_parts), done)
        self._pending = []

    def _write(self, key: str, files: Mapping[str, ManifestEntry | None], *, run: str | None = None) -> None:
        data = manifest.encode(self._run if run is None else run, files)
        for _ in range(ATTEMPTS):
            self._target.write(key, data, _HEADERS)
            if self._target.read(key) == data:
                return
        raise PublishError(f"{key} does not arrive whole", remedy="publish again")


def _read(target: Target, key: str, sizes: Mapping[str, int | None] | Sequence[str]) -> Manifest | None:
    if key not in sizes:
        return None
    data = target.read(key)
    return None if data is None else manifest.decode(data, name=key)
