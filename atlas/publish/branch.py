"""Publishing to a branch of a git remote, for GitHub Pages or a similar host: one commit without history.

The whole site becomes visible at one moment. Files in the branch that no publish put there stay. Hidden files
and `CNAME` among them belong to the host, and do not count as foreign files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from atlas.core.errors import PublishError
from atlas.publish import manifest
from atlas.publish.git import REMOTE, Git
from atlas.publish.manifest import MANIFEST, is_hidden
from atlas.publish.pieces import push_branch, remove_pieces
from atlas.publish.plan import PublishPlan, Remote
from atlas.publish.site_files import SiteFiles
from atlas.site.web import MAX_SITE_BYTES

# Files that belong to a host of pages.
HOSTS_OWN = ("CNAME",)
# GitHub's limit for one file.
MAX_FILE_BYTES = 100 * 2**20


class GitBranch:
    """A branch in the state that it has when this object is made."""

    def __init__(self, git: Git, branch: str) -> None:
        """Fetch the names of the branch's files; if the remote cannot filter, the files of its commit.

        Raises PublishError when the remote does not answer.
        """
        self._git = git
        self._branch = branch
        self._ref = f"refs/heads/{branch}"
        self._tracked = f"refs/remotes/{REMOTE}/{branch}"
        self._before = ""
        self._files: Mapping[str, str] = {}
        listed = git.over_network("ls-remote", REMOTE, self._ref).decode().split()
        if not listed:
            return
        git.over_network(
            *("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none"),
            *(REMOTE, f"+{self._ref}:{self._tracked}"),
        )
        self._before = git.run("rev-parse", self._tracked).decode().strip()
        tree = git.run("ls-tree", "-r", "-z", self._before).decode(errors="surrogateescape")
        rows = (row.split("\t", 1) for row in tree.split("\0") if row)
        # Submodules are listed too, as foreign files; `_keep` refuses them.
        self._files = {path: kind for kind, path in rows}

    def remote(self) -> Remote:
        """Return what the branch holds, without sizes: a commit is always complete."""
        published = manifest.Manifest()
        if MANIFEST in self._files:
            data = self._git.over_network("cat-file", "blob", f"{self._before}:{MANIFEST}")
            published = manifest.decode(data, name=MANIFEST)
        there = {key: None for key in self._files if not is_hidden(key) and key not in HOSTS_OWN}
        return Remote(published.files, frozenset(published.files), there)

    def replace(
        self, plan: PublishPlan, site: SiteFiles, aside: Path, *, step: Callable[[int], object]
    ) -> None:
        """Commit and push the files of a plan, all or none of them. Raises PublishError.

        `aside` is an empty folder for the commit's files; `step` is called with the number of files sent.
        """
        self._lay_out(plan, site, aside, step)
        self._git.call(
            [
                *(sys.executable, "-m", "ghp_import", "--no-jekyll", "--no-history", "--follow-links"),
                *("--remote", REMOTE, "--branch", self._branch, "--message", "Publish the atlas", str(aside)),
            ]
        )
        push_branch(self._git, self._branch, before=self._before)

    def tidy(self) -> None:
        """Remove what an interrupted publish of a site that is there by now left. Raises PublishError."""
        remove_pieces(self._git, self._branch)

    def _lay_out(
        self, plan: PublishPlan, site: SiteFiles, aside: Path, step: Callable[[int], object]
    ) -> None:
        """Fill a folder with the files of the commit; files of the site are linked, not copied."""
        ours = {*plan.deleted, *plan.files, MANIFEST}
        stay = [key for key in self._files if key not in ours]
        for key in stay:
            self._keep(key, aside)
        for key in plan.files:
            path = _made(aside, key)
            data = site.content(key)
            if key in site.contents:
                path.write_bytes(data)
            else:
                path.symlink_to(os.path.abspath(site.path(key)))
        step(len(plan.added) + len(plan.changed))
        _made(aside, MANIFEST).write_bytes(manifest.encode("", plan.final))

    def _keep(self, key: str, aside: Path) -> None:
        """Copy a foreign file of the branch; raises PublishError for links, submodules and unsafe paths."""
        mode, kind, sha = self._files[key].split()
        if kind != "blob" or mode == "120000" or key.startswith("/") or ".." in key.split("/"):
            remedy = "remove it there, or choose another branch"
            raise PublishError(f"the branch holds {key!r}, which is no plain file", remedy=remedy)
        path = _made(aside, key)
        path.write_bytes(self._git.over_network("cat-file", "blob", sha))
        path.chmod(0o755 if mode == "100755" else 0o644)


def warnings(plan: PublishPlan) -> list[str]:
    """Return warnings about sizes that GitHub Pages would refuse."""
    total = sum(file.size for file in plan.files.values())
    of_site = [f"{total:,} bytes: GitHub Pages takes {MAX_SITE_BYTES:,}"] if total > MAX_SITE_BYTES else []
    large = [key for key, file in plan.files.items() if file.size > MAX_FILE_BYTES]
    return of_site + [f"{key}: GitHub takes files of {MAX_FILE_BYTES:,} bytes" for key in large]


def _made(aside: Path, key: str) -> Path:
    """Return the path of a file, after making its folder."""
    path = aside / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
