"""The command `circuit-atlas publish`: print the plan of a publish, refuse it, or carry it out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from atlas.core.errors import PublishError
from atlas.publish.plan import size
from atlas.publish.publication import Publication, publication
from atlas.publish.target import Access, Address, parse_address
from atlas.site.finished.archive import check_whole
from atlas.system.progress import bar

Tell = Callable[[str], object]


def publish_site(
    site: Path,
    target: str,
    *,
    tell: Tell,
    apply: bool = False,
    part: str = "all",
    keep_stale: bool = False,
    allow_foreign: bool = False,
    allow_broken_links: bool = False,
    access: Access | None = None,
) -> None:
    """Print the plan of a publish and, with `apply`, carry it out; `tell` prints a line.

    `part` "images" publishes only the pictures, "pages" all but them.

    Raises PublishError, and SiteError for a site that differs from what its render wrote.
    """
    address, access = parse_address(target), access or Access()
    check_whole(site, "published")
    with publication(site, address, keep_stale=keep_stale, part=part, access=access) as planned:
        _print_plan(planned, address, tell)
        refusals = planned.plan.refusals(allow_foreign=allow_foreign, allow_broken_links=allow_broken_links)
        if refusals:
            raise PublishError("; and ".join(str(refusal) for refusal in refusals))
        if planned.plan.nothing_to_do:
            if apply:
                planned.apply(run=secrets.token_hex(8))
            tell(f"nothing to do: {address} is this site already")
        elif apply:
            _apply(planned, access, tell)
        else:
            tell("nothing is done yet: --apply does it")


def _print_plan(planned: Publication, address: Address, tell: Tell) -> None:
    tell(f"{address}")
    for line in planned.plan.lines():
        tell(line)
    for line in planned.warnings:
        tell(f"warning: {line}")
    if planned.interrupted:
        tell("a publish was interrupted here: this one goes on")


def _apply(planned: Publication, access: Access, tell: Tell) -> None:
    plan, start = planned.plan, time.monotonic()
    with bar("upload", len(plan.added) + len(plan.changed), unit="files") as step:
        planned.apply(run=secrets.token_hex(8), step=step)
    again = f"; {access.patience.n_again} requests were tried again" if access.patience.n_again else ""
    tell(
        f"published: {len(plan.added) + len(plan.changed):,} files, {size(plan.n_bytes)}, and "
        f"{len(plan.deleted):,} deleted in {time.monotonic() - start:.1f} s{again}"
    )
