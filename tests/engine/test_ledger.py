"""Which shard is next, and when one is given up."""

from __future__ import annotations

from atlas.engine import Shard
from atlas.engine.ledger import TRIES, Ledger
from hazards import Plain


def shard(*group: str) -> Shard:
    """Return a shard of a group."""
    return Shard("/".join(group), group, lambda: Plain("a"))


def test_a_worker_stays_where_it_has_something_open() -> None:
    """After a branch comes the same branch, then the same layer, then another layer."""
    ledger = Ledger([shard("a", "one"), shard("b", "one"), *[shard("a", x) for x in ("two", "one")]])
    group, titles = ("a", "one"), []
    while (found := ledger.next(group)) is not None:
        group = found.group
        titles.append(found.title)
    assert titles == ["a/one", "a/one", "a/two", "b/one"]


def test_workers_begin_apart() -> None:
    """Workers with nothing open begin with different layers, the one with the most shards first."""
    ledger = Ledger([shard("a"), shard("b"), shard("b"), shard("c")])
    found = [ledger.next() for _ in range(3)]
    assert [one.title for one in found if one] == ["b", "a", "c"]
    last = ledger.next()
    assert last is not None
    assert last.title == "b"
    assert ledger.next() is None


def test_a_shard_that_lost_its_worker_is_next() -> None:
    """Before all others, whoever asks."""
    ledger = Ledger([shard("a"), shard("b"), shard("b")])
    first = ledger.next(("a",))
    assert first is not None
    assert not ledger.lost(first)
    assert ledger.next(("b",)) is first
    assert ledger.n_unfinished == 3


def test_a_shard_that_ends_its_workers_is_given_up() -> None:
    """After two tries; what is left is the others."""
    ledger = Ledger([shard("a"), shard("b")])
    first = ledger.next(("a",))
    assert first is not None
    for _ in range(TRIES - 1):
        assert not ledger.lost(first)
        assert ledger.next() is first
    assert ledger.lost(first)
    assert ledger.given_up == [first]
    other = ledger.next()
    assert other is not None
    assert other is not first
    ledger.done()
    assert ledger.n_unfinished == 0
