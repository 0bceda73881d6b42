"""The queue of shards: which is next and which are given up, without any process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile

from atlas.build.engine.shard import Group, Shard

# Of a shard that ended its workers where no other did: memory, or a fault in a kernel.
TRIES = 2
# Where workers are lost whatever they are at.
MOST_TRIES = 8


class ShardQueue:
    """The shards of one run: to be handed out, handed out, done, or given up.

    A shard that lost TRIES workers waits for the end. Others that lost a worker and were made afterwards were
    not to blame for the loss; for each of them, the waiting shard gets one more try.
    """

    def __init__(self, shards: Iterable[Shard]) -> None:
        """Take the shards in; none is handed out yet."""
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
        """Hand out a shard to a worker whose last one was of group `last`, None where none is left.

        One that lost its worker comes first, then one that needs what the worker has open, then one that
        nobody has opened anything for.
        """
        shard = self._again.popleft() if self._again else self._fresh(last) or self._suspect()
        self._n_at_work += shard is not None
        return shard

    def done(self, shard: Shard) -> None:
        """Note that a shard that was handed out is done."""
        self._n_at_work -= 1
        self.n_unfinished -= 1
        self._n_blameless += shard in self._losses

    def lost(self, shard: Shard, why: str) -> bool:
        """Note that a shard's worker is lost; return whether the shard is next, else it waits for the end."""
        self._n_at_work -= 1
        losses = self._losses.setdefault(shard, [])
        losses.append(why)
        soon = len(losses) < TRIES
        (self._again if soon else self._suspects).append(shard)
        return soon

    def _suspect(self) -> Shard | None:
        """Hand out a shard that may have ended its workers, or give it up when nothing more can be learnt."""
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
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
