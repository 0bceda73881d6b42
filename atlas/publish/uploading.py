"""Carrying out a plan on a target that stores single files: a bucket or a folder.

Visitors never see a broken site. The order is: pictures, data and assets; pages; the manifest; deletions, of
pages first. Each group is complete, with the right sizes, before the next begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from atlas.core.errors import PublishError
from atlas.publish.journal import Journal
from atlas.publish.patience import ATTEMPTS
from atlas.publish.plan import PublishPlan
from atlas.publish.site_files import SiteFiles
from atlas.publish.target import Target


def upload(
    plan: PublishPlan, site: SiteFiles, target: Target, journal: Journal, *, step: Callable[[int], object]
) -> None:
    """Carry out a plan; `step` is called with the number of files just sent. Raises PublishError.

    If it is interrupted, the next publish continues from there.
    """
    journal.begin()
    resources, *pages = plan.phases()
    for group in ([resources], pages):
        for keys in group:
            for key in _send(keys, plan, site, target):
                journal.note(key)
                step(1)
        _send_again([key for keys in group for key in keys], plan, site, target)
        journal.settle()
    journal.finish()
    for keys in plan.departures():
        target.delete(keys)
    journal.end()


def _send(keys: Sequence[str], plan: PublishPlan, site: SiteFiles, target: Target) -> Iterator[str]:
    """Send files, many at once; yield the key of each when it has been sent."""
    return _each(keys, lambda key: target.write(key, site.content(key), plan.files[key].entry), target)


def _send_again(keys: Sequence[str], plan: PublishPlan, site: SiteFiles, target: Target) -> None:
    """Send files again until the target lists them with the right sizes; success codes alone do not count."""
    for attempt in range(ATTEMPTS):
        if attempt:
            for _ in _send(keys, plan, site, target):
                pass
        sizes = target.sizes() if keys else {}
        keys = [key for key in keys if sizes.get(key, -1) not in (None, plan.files[key].size)]
        if not keys:
            return
    key = keys[0]
    raise PublishError(
        f"{len(keys)} files do not arrive whole, like {key}",
        found=f"{sizes.get(key, 'no')} bytes in the target",
        expected=plan.files[key].size,
        remedy="what is done is kept: the same command goes on from there",
    )


def _each(keys: Sequence[str], action: Callable[[str], None], target: Target) -> Iterator[str]:
    """Call `action` for every key, many at once; yield each key when done. Stop at the first error."""
    n_at_once = target.n_uploads
    pool = ThreadPoolExecutor(n_at_once)
    waiting: dict[Future[None], str] = {}
    try:
        for key in keys:
            waiting[pool.submit(action, key)] = key
            if len(waiting) >= 2 * n_at_once:
                yield from _done(waiting)
        while waiting:
            yield from _done(waiting)
    except BaseException:
        # Without this, each thread would repeat its request for minutes before the pool shuts down.
        target.give_up()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _done(waiting: dict[Future[None], str]) -> Iterator[str]:
    """Wait for the next actions to finish; remove their keys from `waiting` and yield them."""
    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in finished:
        key = waiting.pop(future)
        future.result()
        yield key
