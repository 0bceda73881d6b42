"""Which shard is next, and when one is given up."""

from __future__ import annotations

from atlas.build.engine import Shard
from atlas.build.engine.shard_queue import LATE, MOST_TRIES, TRIES, ShardQueue
from hazards import Plain


def shard(*group: str) -> Shard:
    """Return a shard of a group."""
    return Shard("/".join(group), group, lambda: Plain("a"))


def test_a_worker_stays_where_it_has_something_open() -> None:
    """After a branch comes the same branch, then the same layer, then another layer."""
    queue = ShardQueue([shard("a", "one"), shard("b", "one"), *[shard("a", x) for x in ("two", "one")]])
    group, titles = ("a", "one"), []
    while (found := queue.next(group)) is not None:
        group = found.group
        titles.append(found.title)
    assert titles == ["a/one", "a/one", "a/two", "b/one"]


def test_workers_begin_apart() -> None:
    """Workers with nothing open begin with different layers, the one with the most shards first."""
    queue = ShardQueue([shard("a"), shard("b"), shard("b"), shard("c")])
    found = [queue.next() for _ in range(3)]
    assert [one.title for one in found if one] == ["b", "a", "c"]
    last = queue.next()
    assert last is not None
    assert last.title == "b"
    assert queue.next() is None


def taken(queue: ShardQueue, *last: str) -> Shard:
    """Return the next shard, which there must be."""
    found = queue.next(last)
    assert found is not None
    return found


def test_a_shard_that_lost_its_worker_is_next() -> None:
    """Before all others, whoever asks."""
    queue = ShardQueue([shard("a"), shard("b"), shard("b")])
    first = taken(queue, "a")
    assert queue.lost(first, "lightning") == "made again"
    assert queue.next(("b",)) is first
    assert queue.n_unfinished == 3


def test_a_shard_that_ends_its_workers_is_given_up() -> None:
    """After two tries, when the others are done, which lost nobody."""
    queue = ShardQueue([shard("a"), shard("b"), shard("b")])
    poison = taken(queue, "a")
    assert queue.lost(poison, "one")
    assert taken(queue) is poison
    assert queue.lost(poison, "two") == "left for the end"
    others = [taken(queue), taken(queue)]
    assert poison not in others
    for other in others:
        assert queue.next() is None
        assert queue.given_up == []
        queue.done(other)
    assert queue.next() is None
    assert queue.given_up == [(poison, "two")]
    assert queue.n_unfinished == 0


def test_where_workers_are_lost_anyway_there_are_more_tries() -> None:
    """One more for each shard that was made after it had lost a worker, up to an end."""
    queue = ShardQueue([shard("a"), *[shard("b") for _ in range(MOST_TRIES + 5)]])
    unlucky = taken(queue, "a")
    queue.lost(unlucky, "lightning")
    queue.lost(taken(queue), "lightning")
    for _ in range(MOST_TRIES + 5):
        other = taken(queue)
        assert other is not unlucky
        queue.lost(other, "lightning")
        assert taken(queue) is other
        queue.done(other)
    for _ in range(MOST_TRIES - TRIES):
        assert taken(queue) is unlucky
        queue.lost(unlucky, "lightning")
    assert queue.next() is None
    assert queue.given_up == [(unlucky, "lightning")]


def dealt_twice() -> tuple[ShardQueue, Shard]:
    """A queue whose last shard is late, and was handed out a second time."""
    now = [0.0]
    queue = ShardQueue([shard("a"), shard("b")], clock=lambda: now[0])
    late = taken(queue, "a")
    queue.done(taken(queue))
    now[0] = 1.0
    assert taken(queue) is late
    return queue, late


class TestTheEnd:
    def test_a_late_shard_is_handed_out_once_more(self) -> None:
        """After twice the time that others of its layer took, and only when nothing else is left."""
        now = [0.0]
        queue = ShardQueue([shard("a"), shard("a"), shard("a")], clock=lambda: now[0])
        late, other = taken(queue), taken(queue)
        now[0] = 10.0
        assert queue.done(other)
        assert taken(queue) not in (late, other)
        now[0] = LATE * 10.0
        assert queue.next() is None
        now[0] += 0.1
        assert taken(queue) is late
        now[0] += 90.0
        assert queue.next() is not late

    def test_the_first_answer_counts(self) -> None:
        """What comes back later is no news, whether pieces or a loss, and of another run neither."""
        queue, late = dealt_twice()
        assert queue.done(late)
        assert queue.n_unfinished == 0
        assert not queue.done(late)
        assert queue.lost(late, "lightning") == "another has made it"
        assert queue.next() is None

    def test_one_of_two_is_lost(self) -> None:
        """The other goes on; when that is lost too, the shard is next."""
        queue, late = dealt_twice()
        assert queue.returned(late) == "another has it"
        assert queue.returned(late) == "made again"
        assert taken(queue) is late
