"""The queue of shards: which is next and which are given up. Knows nothing of processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile

from atlas.build.engine.shard import Group, Shard

# Tries of a shard that alone ends its workers: it lacks memory, or meets a fault in native code.
TRIES = 2
# Tries of a shard where workers are lost with other shards too.
MOST_TRIES = 8


class ShardQueue:
    """The shards of one run: waiting, handed out, done, or given up.

    A shard that lost TRIES workers waits until the other shards are handed out. If another shard lost a
    worker and was done later, workers are lost for reasons other than shards: for each such shard, a waiting
    shard gets one more try.
    """

    def __init__(self, shards: Iterable[Shard]) -> None:
        """Sort the shards by group; none is handed out yet."""
        self._groups: dict[Group, deque[Shard]] = {}
        self._again: deque[Shard] = deque()
        self._suspects: deque[Shard] = deque()
        self._begun: set[Group] = set()
        self._losses: dict[Shard, list[str]] = {}
        self._n_blameless = self._n_at_work = 0
        self.given_up: list[tuple[Shard, str]] = []
        self.n_unfinished = 0
        for shard in shards:
            self._groups.setdefault(shard.group, deque()).append(shard)
            self.n_unfinished += 1

    def next(self, last: Group = ()) -> Shard | None:
        """Return a shard for a worker whose last shard was of group `last`, None where none is left.

        First come shards that lost a worker, then those that use what this worker has open, then those of a
        group that no worker has begun.
        """
        shard = self._again.popleft() if self._again else self._fresh(last) or self._suspect()
        self._n_at_work += shard is not None
        return shard

    def done(self, shard: Shard) -> None:
        """Record that a shard that was handed out is done."""
        self._n_at_work -= 1
        self.n_unfinished -= 1
        self._n_blameless += shard in self._losses

    def lost(self, shard: Shard, why: str) -> bool:
        """Record that a shard's worker is lost; return whether it is next, else it waits for the end."""
        self._n_at_work -= 1
        losses = self._losses.setdefault(shard, [])
        losses.append(why)
        soon = len(losses) < TRIES
        (self._again if soon else self._suspects).append(shard)
        return soon

    def _suspect(self) -> Shard | None:
        """Return a shard that may have ended its workers; give up those that have no try left."""
        for _ in range(len(self._suspects)):
            shard = self._suspects.popleft()
            losses = self._losses[shard]
            if len(losses) < min(TRIES + self._n_blameless, MOST_TRIES):
                return shard
            if self._n_at_work:
                self._suspects.append(shard)
            else:
                self.given_up.append((shard, losses[-1]))
                self.n_unfinished -= 1
        return None

    def _fresh(self, last: Group) -> Shard | None:
        """Return a shard that was not handed out before, of the group that suits the worker best."""
        if not self._groups:
            return None

        def worth(group: Group) -> tuple[int, bool, int]:
            return _shared(group, last), group[:1] not in self._begun, len(self._groups[group])

        best = max(self._groups, key=worth)
        self._begun.add(best[:1])
        shard = self._groups[best].popleft()
        if not self._groups[best]:
            del self._groups[best]
        return shard


def _shared(one: Group, other: Group) -> int:
    """Return the number of first names that two groups have in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
