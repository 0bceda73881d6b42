"""Compare local files with the content of a target, and plan a publish; no file is read or sent here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atlas.core.errors import PublishError
from atlas.publish.headers import is_page
from atlas.publish.manifest import ManifestEntry, is_hidden
from atlas.site.urls import HOME

# Most addresses that the printed plan lists of each kind.
LISTED = 10


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish."""

    entry: ManifestEntry
    """SHA-256 and headers that the target's manifest will hold."""
    size: int
    """Size in bytes."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The content of a target."""

    entries: Mapping[str, ManifestEntry | None]
    """Files that publishes put there; None where the bytes are uncertain after an interrupted publish."""
    published: frozenset[str]
    """Addresses of the files of the last publish that ended."""
    sizes: Mapping[str, int | None]
    """Bytes of every file in the target, foreign ones too; None where the target does not report sizes."""
    interrupted: bool = False
    """Whether the last publish did not end."""


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """The changes that a publish makes to a target. All addresses are sorted."""

    files: Mapping[str, LocalFile]
    """All files of the site, by address."""
    added: tuple[str, ...]
    """Files of the site that the target lacks."""
    changed: tuple[str, ...]
    """Files of the site that the target holds with other or uncertain bytes or headers."""
    unchanged: tuple[str, ...]
    """Files of the site that the target holds as they are."""
    deleted: tuple[str, ...]
    """Stale files, which a publish put there and the site no longer has, to be deleted."""
    kept: tuple[str, ...]
    """Stale files that stay, by --keep-stale."""
    foreign: tuple[str, ...]
    """Files that no publish put there."""
    covered: tuple[str, ...]
    """Foreign files at an address of the site, which the publish would overwrite."""
    broken: tuple[str, ...]
    """Published pages that would be gone, with neither a page nor a redirect at their address."""
    final: Mapping[str, ManifestEntry | None]
    """The manifest after the publish."""
    n_bytes: int
    """Bytes to upload."""
    nothing_to_do: bool
    """Whether the target is this site already, and its manifest is complete."""

    def phases(self) -> Iterator[tuple[str, ...]]:
        """Yield groups of files to upload one after the other, so that no page lacks its pictures.

        First assets, images and data; then new pages; then changed pages, which may link to new ones; then
        the home page.
        """
        news = (*self.added, *self.changed)
        yield tuple(key for key in news if not is_page(key))
        yield tuple(key for key in self.added if is_page(key) and key != HOME)
        yield tuple(key for key in self.changed if is_page(key) and key != HOME)
        yield tuple(key for key in news if key == HOME)

    def departures(self) -> Iterator[tuple[str, ...]]:
        """Yield groups of files to delete: first pages, then the rest, which these pages showed."""
        pages = tuple(key for key in self.deleted if is_page(key))
        rest = tuple(key for key in self.deleted if not is_page(key))
        yield from filter(None, (pages, rest))

    def refusals(self, *, allow_foreign: bool, allow_broken_links: bool) -> list[PublishError]:
        """Return the reasons to refuse the publish, as errors with remedies."""
        reasons = []
        if self.broken and not allow_broken_links:
            embeds = any(key.startswith("embed/") for key in self.broken)
            unpacked = "render it with --packed never, as it was before, or " if embeds else ""
            reasons.append(
                PublishError(
                    f"{_some(self.broken)} of the published site would be gone, and links to it broken",
                    remedy=f"{unpacked}render it with redirects that say where it went, keep it with "
                    "--keep-stale, or give it up with --allow-broken-links",
                )
            )
        if self.foreign and not allow_foreign:
            over = f", {len(self.covered)} of them at an address of the site" if self.covered else ""
            reasons.append(
                PublishError(
                    f"the target holds {len(self.foreign):,} files that no publish put there{over}: "
                    + _some(self.foreign),
                    remedy="choose an empty target, or publish among them with --allow-foreign: those at "
                    "an address of the site are overwritten, the others stay",
                )
            )
        return reasons

    def lines(self) -> Iterator[str]:
        """Yield the lines of the printed plan: for each kind a count and the first addresses."""
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
    """Return the plan that makes a target hold the site; with `keep_stale` no file is deleted.

    A file counts as unchanged if the manifest lists it with the same bytes and headers, and the target holds
    it with the same size.
    """
    there, entries = remote.sizes, remote.entries
    added = tuple(sorted(key for key in files if key not in there))
    unchanged = tuple(sorted(key for key, file in files.items() if _is_there(key, file, remote)))
    changed = tuple(sorted(files.keys() - set(added) - set(unchanged)))
    stale = tuple(sorted(key for key in entries if key not in files and key in there))
    folders = {key.rpartition("/")[0] for key in files}
    # Consoles of object stores create an empty object for each folder; these are not foreign.
    foreign = sorted(
        key
        for key in there
        if key not in entries and not is_hidden(key) and (key not in folders or there[key])
    )
    kept = stale if keep_stale else ()
    final = {key: file.entry for key, file in files.items()} | {key: entries[key] for key in kept}
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
        nothing_to_do=is_same and not remote.interrupted and final.keys() == entries.keys(),
    )


def size(n_bytes: int) -> str:
    """Return a number of bytes with three digits and a unit: "1.25 MB"."""
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
