"""Which shard is next, and which are given up: what a coordinator knows, without any process."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import takewhile

from atlas.engine.shard import Group, Shard

# Of a shard that ended its worker: memory, a fault in a kernel, or only somebody who ended the worker.
TRIES = 2


class Ledger:
    """The shards of one run: to be handed out, handed out, done, or given up after TRIES lost workers."""

    def __init__(self, shards: Iterable[Shard]) -> None:
        """Take the shards in; none is handed out yet."""
        self._groups: dict[Group, deque[Shard]] = {}
        self._again: deque[Shard] = deque()
        self._begun: set[Group] = set()
        self._lost_workers: Counter[Shard] = Counter()
        self.given_up: list[Shard] = []
        self.n_unfinished = 0
        for shard in shards:
            self._groups.setdefault(shard.group, deque()).append(shard)
            self.n_unfinished += 1

    def next(self, last: Group = ()) -> Shard | None:
        """Hand out a shard to a worker whose last one was of group `last`, None where none is left.

        One that lost its worker comes first: what is wrong with it is to be known soon. Then one that needs
        what the worker has open, then one that nobody has opened anything for.
        """
        if self._again:
            return self._again.popleft()
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

    def done(self) -> None:
        """Note that a shard that was handed out is done."""
        self.n_unfinished -= 1

    def lost(self, shard: Shard) -> bool:
        """Note that a shard's worker is lost; return whether the shard is given up, else it is next."""
        self._lost_workers[shard] += 1
        if self._lost_workers[shard] < TRIES:
            self._again.append(shard)
            return False
        self.given_up.append(shard)
        self.n_unfinished -= 1
        return True


def _shared(one: Group, other: Group) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
