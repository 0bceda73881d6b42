"""The queue of shards: which is next and which are given up. Knows nothing of processes."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from itertools import takewhile
from statistics import median

from atlas.build.engine.shard import Group, Shard

_log = logging.getLogger(__name__)

# Tries of a shard that alone ends its workers: it lacks memory, or meets a fault in native code.
TRIES = 2
# Tries of a shard where workers are lost with other shards too.
MOST_TRIES = 8
# A shard is late after so many times the usual seconds. The first of a layer builds its graphs besides.
LATE = 2.0


class ShardQueue:
    """The shards of one run: waiting, handed out, done, or given up.

    A shard that lost TRIES workers waits until the other shards are handed out. If another shard lost a
    worker and was done later, workers are lost for reasons other than shards: for each such shard, a waiting
    shard gets one more try.

    Once all shards are handed out, one that is late is handed out a second time: its worker may be slow, or
    stand still. What comes back first counts.
    """

    def __init__(self, shards: Iterable[Shard], clock: Callable[[], float] = time.monotonic) -> None:
        """Sort the shards by group; none is handed out yet. `clock` returns seconds."""
        self._clock = clock
        self._groups: dict[Group, deque[Shard]] = {}
        self._again: deque[Shard] = deque()
        self._suspects: deque[Shard] = deque()
        self._begun: set[Group] = set()
        self._losses: dict[Shard, list[str]] = {}
        self._n_blameless = 0
        self._at_work: dict[Shard, list[float]] = {}
        self._seconds: dict[Group, list[float]] = defaultdict(list)
        self.given_up: list[tuple[Shard, str]] = []
        self.n_unfinished = 0
        for shard in shards:
            self._groups.setdefault(shard.group, deque()).append(shard)
            self.n_unfinished += 1

    def next(self, last: Group = ()) -> Shard | None:
        """Return a shard for a worker whose last shard was of group `last`, None where none is left.

        First come shards that lost a worker, then those that use what this worker has open, then those of a
        group that no worker has begun, last those that are late.
        """
        waiting = self._again.popleft() if self._again else self._fresh(last) or self._suspect()
        shard = waiting or self._late()
        if shard is not None:
            self._at_work.setdefault(shard, []).append(self._clock())
        return shard

    def done(self, shard: Shard) -> bool:
        """Record that a worker is done with a shard; return whether it is the first, whose pieces count."""
        if shard not in self._at_work:
            return False
        # The copy that began last: at worst the usual time is taken for shorter than it is.
        self._seconds[shard.group[:1]].append(self._clock() - self._at_work.pop(shard)[-1])
        self.n_unfinished -= 1
        self._n_blameless += shard in self._losses
        return True

    def lost(self, shard: Shard, why: str) -> str:
        """Record that a shard's worker is lost; return what becomes of the shard, in words."""
        self._losses.setdefault(shard, []).append(why)
        return self.returned(shard)

    def returned(self, shard: Shard) -> str:
        """Record that a shard comes back unmade; return what becomes of it, in words."""
        began = self._at_work.get(shard, [])
        if len(began) != 1:
            del began[-1:]
            return "another has it" if began else "another has made it"
        del self._at_work[shard]
        soon = len(self._losses.get(shard, [])) < TRIES
        (self._again if soon else self._suspects).append(shard)
        return "made again" if soon else "left for the end"

    def _late(self) -> Shard | None:
        """Return the shard that is at work for longest, once, if others of its layer took half as long."""
        alone = {shard: began[0] for shard, began in self._at_work.items() if len(began) == 1}
        everything = [seconds for several in self._seconds.values() for seconds in several]
        for shard in sorted(alone, key=alone.__getitem__) if everything else ():
            alike = self._seconds.get(shard.group[:1])
            usual = median(alike) if alike else max(everything)
            if self._clock() - alone[shard] > LATE * usual:
                _log.info("%s is late; another worker begins it as well", shard.title)
                return shard
        return None

    def _suspect(self) -> Shard | None:
        """Return a shard that may have ended its workers; give up those that have no try left."""
        for _ in range(len(self._suspects)):
            shard = self._suspects.popleft()
            losses = self._losses[shard]
            if len(losses) < min(TRIES + self._n_blameless, MOST_TRIES):
                return shard
            if self._at_work:
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
