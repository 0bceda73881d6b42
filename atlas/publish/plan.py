"""Local files against what a target holds -> what a publish has to do. Pure: nothing is read or sent here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atlas.core.errors import PublishError
from atlas.publish.headers import is_page
from atlas.publish.manifest import ManifestEntry, is_hidden
from atlas.site.urls import HOME

# A longer list says no more than its count does.
LISTED = 10


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish: what the target is to say of it, and its size in bytes."""

    entry: ManifestEntry
    size: int


@dataclass(frozen=True, slots=True)
class Remote:
    """What a target holds.

    `entries` are a publish's own files, None where an interrupted publish left it open what is there;
    `published` are those of the last publish that ended; `sizes` has the bytes of every file that is
    there, None where the target does not say; `interrupted` says that a publish did not end.
    """

    entries: Mapping[str, ManifestEntry | None]
    published: frozenset[str]
    sizes: Mapping[str, int | None]
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What a publish has to do, addresses sorted.

    `files` are all that the target shall hold of the site; `kept` are stale but stay; `foreign` are
    somebody else's; `covered` are those of them that the site has too; `broken` are pages that were
    published and that the site neither has nor redirects. `final` is the manifest at the end.
    """

    files: Mapping[str, LocalFile]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    foreign: tuple[str, ...]
    covered: tuple[str, ...]
    broken: tuple[str, ...]
    final: Mapping[str, ManifestEntry | None]
    n_bytes: int
    nothing_to_do: bool

    def phases(self) -> Iterator[tuple[str, ...]]:
        """Yield what may be uploaded at once, in the order that never shows a page without its pictures.

        Assets, images and data; then pages that nothing leads to yet; pages that lead there; the home page.
        """
        news = (*self.added, *self.changed)
        yield tuple(key for key in news if not is_page(key))
        yield tuple(key for key in self.added if is_page(key) and key != HOME)
        yield tuple(key for key in self.changed if is_page(key) and key != HOME)
        yield tuple(key for key in news if key == HOME)

    def departures(self) -> Iterator[tuple[str, ...]]:
        """Yield what may be deleted at once: pages, which until then have what they show; then the rest."""
        pages = tuple(key for key in self.deleted if is_page(key))
        rest = tuple(key for key in self.deleted if not is_page(key))
        yield from filter(None, (pages, rest))

    def refusals(self, *, allow_foreign: bool, allow_broken_links: bool) -> list[PublishError]:
        """Return the reasons not to go on, in words."""
        found = []
        if self.broken and not allow_broken_links:
            found.append(
                PublishError(
                    f"{_some(self.broken)} of the published site would be gone, and links to it broken",
                    remedy="render it with redirects that say where it went, keep it with --keep-stale, or "
                    "give it up with --allow-broken-links",
                )
            )
        if self.foreign and not allow_foreign:
            over = f", {len(self.covered)} of them at an address of the site" if self.covered else ""
            found.append(
                PublishError(
                    f"the target holds {len(self.foreign):,} files that no publish put there{over}: "
                    + _some(self.foreign),
                    remedy="choose an empty target, or publish among them with --allow-foreign: those at "
                    "an address of the site are overwritten, the others stay",
                )
            )
        return found

    def lines(self) -> Iterator[str]:
        """Yield the plan in words: a count of each kind, and the first of the addresses."""
        yield from _listed("added", self.added)
        yield from _listed("changed", self.changed)
        yield f"{'unchanged':<10} {len(self.unchanged):>8,}"
        yield from _listed("deleted", self.deleted)
        if self.kept:
            yield from _listed("kept", self.kept)
        if self.foreign:
            yield from _listed("foreign", self.foreign)
        yield f"{'to upload':<10} {size(self.n_bytes):>8}"


def plan_publish(files: Mapping[str, LocalFile], remote: Remote, *, keep_stale: bool = False) -> PublishPlan:
    """Return what brings a target from what it holds to the site.

    A file counts as unchanged when the target says that a publish put it with the same bytes and headers,
    and it is there with the same size.
    """
    there, own = remote.sizes, remote.entries
    added = tuple(sorted(key for key in files if key not in there))
    unchanged = tuple(sorted(key for key, file in files.items() if _is_there(key, file, remote)))
    changed = tuple(sorted(files.keys() - set(added) - set(unchanged)))
    stale = tuple(sorted(key for key in own if key not in files and key in there))
    folders = {key.rpartition("/")[0] for key in files}
    # The consoles of object stores make an empty object of a folder's name.
    foreign = sorted(
        key for key in there if key not in own and not is_hidden(key) and (key not in folders or there[key])
    )
    kept = stale if keep_stale else ()
    final = {key: file.entry for key, file in files.items()} | {key: own[key] for key in kept}
    gone = {key for key in remote.published if is_page(key) and key not in files}
    is_same = not (added or changed or (stale and not keep_stale))
    return PublishPlan(
        files=files,
        added=added,
        changed=changed,
        unchanged=unchanged,
        deleted=() if keep_stale else stale,
        kept=kept,
        foreign=tuple(foreign),
        covered=tuple(key for key in foreign if key in files),
        broken=tuple(sorted(gone - set(kept))),
        final=final,
        n_bytes=sum(files[key].size for key in (*added, *changed)),
        nothing_to_do=is_same and not remote.interrupted and final.keys() == own.keys(),
    )


def size(n_bytes: int) -> str:
    """Return bytes in words, three digits: "1.25 MB"."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if unit != "B" else f"{n_bytes} B"


def _is_there(key: str, file: LocalFile, remote: Remote) -> bool:
    if key not in remote.sizes or remote.entries.get(key) != file.entry:
        return False
    return remote.sizes[key] in (None, file.size)


def _listed(word: str, keys: tuple[str, ...]) -> Iterator[str]:
    yield f"{word:<10} {len(keys):>8,}"
    for key in keys[:LISTED]:
        yield f"    {key}"
    if len(keys) > LISTED:
        yield f"    … and {len(keys) - LISTED:,} more"


def _some(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - 3:,} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
