"""A local worker: a process with the network open, orders on one pipe, replies on the other."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

from atlas.engine.parcel import Parcel, reply, unpacked
from atlas.engine.shard import Bench

# Between two looks at whether the coordinator still lives.
_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a worker is told first: the network, the coordinator's process, how much to say."""

    parcel: Parcel
    parent: int
    level: int


def main() -> None:
    """Serve until the pipe ends, or the coordinator does."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Nothing that is printed, below Python too, may get between the replies.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(source, sink)
    # The coordinator is done, or gone; nothing is left to tidy up, and TensorFlow takes its time for it.
    os._exit(0)


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    briefing: Briefing = pickle.load(source)
    threading.Thread(target=_watch, args=(briefing.parent,), daemon=True).start()
    logging.basicConfig(level=briefing.level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    bench = Bench(unpacked(briefing.parcel), n_lanes=1)
    answer = b""
    while True:
        pickle.dump(answer, sink)
        sink.flush()
        answer = reply(bench, pickle.load(source))


def _watch(parent: int) -> None:
    """End this process soon after the coordinator: an order may take minutes."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
