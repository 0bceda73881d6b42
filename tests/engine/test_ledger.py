"""Which shard is next, and when one is given up."""

from __future__ import annotations

from atlas.engine import Shard
from atlas.engine.ledger import MOST_TRIES, TRIES, Ledger
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


def taken(ledger: Ledger, *last: str) -> Shard:
    """Return the next shard, which there must be."""
    found = ledger.next(last)
    assert found is not None
    return found


def test_a_shard_that_lost_its_worker_is_next() -> None:
    """Before all others, whoever asks."""
    ledger = Ledger([shard("a"), shard("b"), shard("b")])
    first = taken(ledger, "a")
    assert ledger.lost(first, "lightning")
    assert ledger.next(("b",)) is first
    assert ledger.n_unfinished == 3


def test_a_shard_that_ends_its_workers_is_given_up() -> None:
    """After two tries, when the others are done, which lost nobody."""
    ledger = Ledger([shard("a"), shard("b"), shard("b")])
    poison = taken(ledger, "a")
    assert ledger.lost(poison, "one")
    assert taken(ledger) is poison
    assert not ledger.lost(poison, "two")
    others = [taken(ledger), taken(ledger)]
    assert poison not in others
    for other in others:
        assert ledger.next() is None
        assert ledger.given_up == []
        ledger.done(other)
    assert ledger.next() is None
    assert ledger.given_up == [(poison, "two")]
    assert ledger.n_unfinished == 0


def test_where_workers_are_lost_anyway_there_are_more_tries() -> None:
    """One more for each shard that was made after it had lost a worker, up to an end."""
    ledger = Ledger([shard("a"), *[shard("b") for _ in range(MOST_TRIES + 5)]])
    unlucky = taken(ledger, "a")
    ledger.lost(unlucky, "lightning")
    ledger.lost(taken(ledger), "lightning")
    for _ in range(MOST_TRIES + 5):
        other = taken(ledger)
        assert other is not unlucky
        ledger.lost(other, "lightning")
        assert taken(ledger) is other
        ledger.done(other)
    for _ in range(MOST_TRIES - TRIES):
        assert taken(ledger) is unlucky
        ledger.lost(unlucky, "lightning")
    assert ledger.next() is None
    assert ledger.given_up == [(unlucky, "lightning")]
