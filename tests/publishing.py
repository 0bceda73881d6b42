"""What the tests of publishing share: one that publishes with short waits, and what a bucket then holds."""

from __future__ import annotations

from pathlib import Path

from atlas.publish import Access, Publication, manifest, parse_address, publication
from atlas.publish.patience import Patience
from atlas.publish.site_files import SiteFiles
from faulty_s3 import FaultyS3

PREFIX = "papers/atlas/"


def objects(s3: FaultyS3) -> dict[str, bytes]:
    """Return the site's files as the bucket holds them."""
    stored = {key: stored.data for key, stored in s3.objects.items() if key.startswith(PREFIX)}
    found = {key.removeprefix(PREFIX): data for key, data in stored.items()}
    return {key: data for key, data in found.items() if not manifest.is_hidden(key)}


def expected(site: Path) -> dict[str, bytes]:
    """Return what is to be there."""
    files = SiteFiles(site)
    return {key: files.content(key) for key in files.files}


def sent(s3: FaultyS3) -> list[str]:
    """Return the site's files in the order of their PUTs."""
    keys = [key.removeprefix(PREFIX) for key in s3.puts()]
    return [key for key in keys if not manifest.is_hidden(key)]


def planned(found: Publication) -> tuple[int, int, int, int]:
    plan = found.plan
    return len(plan.added), len(plan.changed), len(plan.unchanged), len(plan.deleted)


class Publisher:
    """Publishes to one target, in this process, with short waits."""

    def __init__(self, target: str, endpoint: str = "") -> None:
        self.address = parse_address(target)
        self.endpoint = endpoint
        self.runs = 0

    def access(self, timeout: float = 5.0) -> Access:
        """Return how to reach the target."""
        self.patience = Patience(first=0.005, longest=0.02)
        return Access(endpoint=self.endpoint, timeout=timeout, patience=self.patience)

    def __call__(
        self, site: Path, *, apply: bool = True, keep_stale: bool = False, timeout: float = 5.0
    ) -> Publication:
        """Publish; return what was planned."""
        self.runs += 1
        with publication(site, self.address, keep_stale=keep_stale, access=self.access(timeout)) as found:
            if apply:
                found.apply(run=f"run {self.runs}")
        return found
