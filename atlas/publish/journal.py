"""The journal that a publish keeps in its target, so that an interrupted publish can be continued.

1. Before any other change, the journal lists the files that publishes put there. A file that is about to
   change gets null for an entry, because its bytes are uncertain from now on.
2. After every `BATCH` uploads, a part lists the files that are done.
3. At the end the manifest is written, stale files are deleted, and then the journal and its parts.

If a target has a journal, then the journal and its parts are valid, and the manifest is not.
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

# After an interruption at most this many uploads are repeated, besides those that were under way.
BATCH = 100
_HEADERS = ManifestEntry("", "application/json", NEVER)


def read_remote(target: Target) -> Remote:
    """Return what a target holds; raises PublishError."""
    sizes = target.sizes()
    finished = _read(target, MANIFEST, sizes)
    published = frozenset(finished.files if finished else ())
    journal = _read(target, JOURNAL, sizes)
    valid = journal or finished or Manifest()
    entries = dict(valid.files)
    if journal:
        # If a part cannot be read, its files are sent again.
        for key in sorted(key for key in sizes if key.startswith(f"{FOLDER}done-")):
            with contextlib.suppress(PublishError):
                done = _read(target, key, sizes)
                entries |= done.files if done and done.run == journal.run else {}
    there = {key: size for key, size in sizes.items() if not manifest.is_hidden(key)}
    return Remote(entries, published, there, journal is not None)


class Journal:
    """The journal of one publish; `run` identifies the publish."""

    def __init__(self, target: Target, plan: PublishPlan, remote: Remote, *, run: str) -> None:
        """Prepare the journal; nothing is written yet."""
        self._target = target
        self._plan = plan
        self._remote = remote
        self._run = run
        self._n_parts = 0
        self._pending: list[str] = []

    def begin(self) -> None:
        """Write which files are about to change; raises PublishError, as all methods do."""
        open_ = dict.fromkeys((*self._plan.added, *self._plan.changed))
        self._write(JOURNAL, {**self._remote.entries, **open_})

    def note(self, key: str) -> None:
        """Record that a file is uploaded; the record is written after `BATCH` files, or by `settle`."""
        self._pending.append(key)
        if len(self._pending) >= BATCH:
            self._write_part()

    def settle(self) -> None:
        """Write the pending records; raises PublishError if another publish has begun meanwhile."""
        if self._pending:
            self._write_part()
        journal = _read(self._target, JOURNAL, {JOURNAL: None})
        if journal is None or journal.run != self._run:
            remedy = "when it is done, publish again"
            raise PublishError("another publish to the same target has begun meanwhile", remedy=remedy)

    def finish(self) -> None:
        """Write the manifest."""
        self._write(MANIFEST, self._plan.final, run="")

    def end(self) -> None:
        """Remove the journal, then its parts and those of interrupted publishes."""
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
