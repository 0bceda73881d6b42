"""A site and a target's address -> a plan, which can be carried out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atlas.publish.branch import GitBranch, warnings
from atlas.publish.folder import Folder
from atlas.publish.git import Git
from atlas.publish.journal import Journal, read_remote
from atlas.publish.object_store import ObjectStore
from atlas.publish.plan import PublishPlan, Remote, plan_publish
from atlas.publish.site_files import SiteFiles
from atlas.publish.target import Access, Address, Target
from atlas.publish.uploading import upload

# Called with the number of files that were just sent.
Step = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Publication:
    """A planned publish of a site to a target."""

    plan: PublishPlan
    """The changes that the publish makes."""
    warnings: tuple[str, ...]
    """What the host might refuse, a sentence each."""
    interrupted: bool
    """Whether the last publish to this target did not end."""
    _apply: Callable[[str, Step], None]
    """Carries out the plan, given the id of this publish and a progress callback."""
    _tidy: Callable[[], None] = lambda: None
    """Removes what an interrupted publish left, where the plan has nothing to do."""

    def apply(self, *, run: str, step: Step = lambda n: None) -> None:
        """Carry out the plan, without checking its refusals; `run` is a unique id of this publish.

        `step` is called with the number of files that were just sent. Raises PublishError.
        """
        if self.plan.nothing_to_do:
            self._tidy()
        else:
            self._apply(run, step)


@contextmanager
def publication(
    site: Path,
    address: Address,
    *,
    keep_stale: bool = False,
    part: str = "all",
    access: Access | None = None,
) -> Iterator[Publication]:
    """Plan the publish of a site or a `part` of it, reading it and its target. Raises PublishError."""
    access = access or Access()
    files = SiteFiles(site, part)
    if address.kind == "branch":
        with _branch(address, access) as (branch, aside):
            plan = plan_publish(files.files, branch.remote(), keep_stale=keep_stale)
            yield Publication(
                plan,
                tuple(warnings(plan)),
                False,
                lambda run, step: branch.replace(plan, files, aside, step=step),
                branch.tidy,
            )
        return
    target = _target(site, address, access)
    remote = read_remote(target)
    plan = plan_publish(files.files, remote, keep_stale=keep_stale)
    yield Publication(
        plan, (), remote.interrupted, lambda run, step: _upload(plan, remote, files, target, run, step)
    )


def _upload(
    plan: PublishPlan, remote: Remote, files: SiteFiles, target: Target, run: str, step: Step
) -> None:
    upload(plan, files, target, Journal(target, plan, remote, run=run), step=step)


@contextmanager
def _branch(address: Address, access: Access) -> Iterator[tuple[GitBranch, Path]]:
    with tempfile.TemporaryDirectory(prefix="circuit-atlas-") as folder:
        aside = Path(folder) / "site"
        aside.mkdir()
        git = Git(Path(folder) / "repository", address)
        yield GitBranch(git, address.inner), aside


def _target(site: Path, address: Address, access: Access) -> Target:
    if address.kind == "folder":
        return Folder(Path(address.place), site=site)
    return ObjectStore(address, access)
