"""Pushing a branch in pieces, so that a push of a large site goes on where it was interrupted.

Hosts of git end a push that is large or takes long. Before the branch, commits with more and more of its
files are therefore pushed to a ref of their own, which no host shows. The push of the branch then sends next
to nothing and is seen at one moment. What an interrupted publish left in that ref, the next one uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from atlas.core.errors import PublishError
from atlas.publish.git import REMOTE, Git

# Bytes of a piece's files before compression; GitHub refuses 2 GB, and slow lines break off sooner.
PIECE = 200 * 10**6
# Without a clock, the same files make the same commit.
_WHO = "circuit-atlas <circuit-atlas@localhost> 0 +0000"


class _Entry(NamedTuple):
    """A file of a commit."""

    line: str
    """Mode, object and path, as `git update-index --index-info` reads them."""
    sha: str
    """Its object."""
    size: int
    """Its bytes."""


def push_branch(git: Git, branch: str, *, before: str) -> None:
    """Push a branch that was at the commit `before` ("" for none) when it was fetched. Raises PublishError.

    It fails if somebody has changed the branch since.
    """
    ref = f"refs/heads/{branch}"
    in_pieces = _push_pieces(git, ref, _pieces(branch), before)
    git.over_network("push", "--quiet", f"--force-with-lease={ref}:{before}", REMOTE, f"{ref}:{ref}")
    if in_pieces:
        remove_pieces(git, branch)


def remove_pieces(git: Git, branch: str) -> None:
    """Remove what an interrupted publish left, if it left anything. Raises PublishError."""
    if git.over_network("ls-remote", REMOTE, _pieces(branch)):
        git.over_network("push", "--quiet", REMOTE, f":{_pieces(branch)}")


def _pieces(branch: str) -> str:
    return f"refs/circuit-atlas/{branch}"


def _push_pieces(git: Git, ref: str, pieces: str, before: str) -> bool:
    """Push the new files of a commit, if they are many; return whether the remote has the pieces' ref."""
    there = [before] if before else []
    is_there = bool(git.over_network("ls-remote", REMOTE, pieces))
    if is_there:
        _fetch(git, pieces)
        there.append(pieces)
    held = {line.split()[2] for commit in there for line in _listed(git, commit)}
    entries = [_entry(line) for line in _listed(git, ref, "-l")]
    new = [entry for entry in entries if entry.sha not in held]
    if not is_there and sum(entry.size for entry in new) <= PIECE:
        return False
    git.run("read-tree", "--empty")
    _add(git, (entry for entry in entries if entry.sha in held))
    for piece in _cut(new):
        _add(git, piece)
        try:
            git.over_network("push", "--quiet", "--force", REMOTE, f"{_committed(git)}:{pieces}")
            _fetch(git, pieces)
        except PublishError:
            if is_there:
                raise
            # A remote may take branches alone; then the branch goes as a whole.
            return False
        is_there = True
    return is_there


def _fetch(git: Git, ref: str) -> None:
    """Fetch the names of a ref's files. Without that a push sends again what the remote has.

    The ref's commit is no ancestor of what is pushed, and git compares with such commits only where it has
    fetched them as shallow ones.
    """
    git.over_network(
        *("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", REMOTE, f"+{ref}:{ref}")
    )


def _listed(git: Git, commit: str, *options: str) -> Iterator[str]:
    """Yield "mode kind object", with -l its size, a tab and the path of each file of a commit."""
    rows = git.run("ls-tree", "-r", "-z", *options, commit).decode(errors="surrogateescape")
    return (row for row in rows.split("\0") if row.split()[1:2] == ["blob"])


def _entry(line: str) -> _Entry:
    about, path = line.split("\t", 1)
    mode, _, sha, size = about.split()
    return _Entry(f"{mode} {sha}\t{path}", sha, int(size))


def _cut(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    piece: list[_Entry] = []
    size = 0
    for entry in entries:
        if piece and size + entry.size > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(entry)
        size += entry.size
    if piece:
        yield piece


def _add(git: Git, entries: Iterable[_Entry]) -> None:
    lines = "".join(f"{entry.line}\0" for entry in entries)
    git.run("update-index", "-z", "--index-info", data=lines.encode(errors="surrogateescape"))


def _committed(git: Git) -> str:
    """Return a commit without parents of the files that were added."""
    tree = git.run("write-tree").decode().strip()
    text = f"tree {tree}\nauthor {_WHO}\ncommitter {_WHO}\n\nA part of the atlas\n"
    return git.run("hash-object", "-t", "commit", "-w", "--stdin", data=text.encode()).decode().strip()
