"""Orders that go wrong in the process that carries them out, and pictures whose order does."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.build.draw_settings import DrawSettings
from atlas.build.engine import Piece, WorkerContext
from atlas.build.stages.featurevis import draw_neurons
from atlas.core.errors import LayerError

# The file whose absence ends the process that draws first; workers inherit the variable.
MARK = "HAZARDS_MARK"


@dataclass(frozen=True)
class Plain:
    """Makes one piece of its key."""

    key: str

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Yield it."""
        yield Piece(self.key, f"{self.key} of {context.network.name}".encode(), {"n": len(self.key)})


@dataclass(frozen=True)
class Weighty:
    """Makes pieces of a size, at once."""

    key: str
    n_pieces: int
    n_bytes: int

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Yield them."""
        yield from (Piece(f"{self.key}-{i}", os.urandom(self.n_bytes)) for i in range(self.n_pieces))


@dataclass(frozen=True)
class Fatal:
    """Ends the process that carries it out."""

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """End."""
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()


@dataclass(frozen=True)
class FatalOnce(Plain):
    """Ends the first process that carries it out; `mark` is the file that the first one leaves."""

    mark: Path

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """End, or yield what a plain one does."""
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from super().__call__(context)


@dataclass(frozen=True)
class Frozen(Plain):
    """Stops the first process that carries it out, as a debugger would; `mark` tells which."""

    mark: Path

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Stand still, or yield what a plain one does."""
        if not self.mark.exists():
            self.mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        yield from super().__call__(context)


@dataclass(frozen=True)
class Slow:
    """Leaves its process's number in a folder, then takes its time."""

    folder: Path

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Wait."""
        (self.folder / str(os.getpid())).touch()
        time.sleep(600)
        yield from ()


@dataclass(frozen=True)
class Full:
    """Fails as where the disk is full."""

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Raise."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield


@dataclass(frozen=True)
class Faulty:
    """Fails: with an error of the user's, or with one of the program's that pickle cannot read back."""

    is_ours: bool

    def __call__(self, context: WorkerContext) -> Iterator[Piece]:
        """Raise."""
        if self.is_ours:
            raise LayerError("a layer", found="that it is odd", remedy="take another")
        raise _UnportableError("a", "b")
        yield


class _UnportableError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def poisoned_pictures(
    settings: DrawSettings, keys: Mapping[int, str], strips: Mapping[int, str], context: WorkerContext
) -> Iterator[Piece]:
    """Draw feature visualizations, or end the process when neuron 3 is among them."""
    if any(key.endswith("second/3.jpg") for key in keys.values()):
        os.kill(os.getpid(), signal.SIGKILL)
    yield from draw_neurons(settings, keys, strips, context)


def pictures_lost_once(
    settings: DrawSettings, keys: Mapping[int, str], strips: Mapping[int, str], context: WorkerContext
) -> Iterator[Piece]:
    """Draw feature visualizations; the first process of all that draws any ends in the middle of it."""
    mark = Path(os.environ[MARK])
    for piece in draw_neurons(settings, keys, strips, context):
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield piece
