"""The functions that run on a Dask worker: it opens the network once and keeps it between orders."""

from __future__ import annotations

import pickle
import threading

from atlas.build.engine.serialized_network import SerializedNetwork, deserialized, reply, versions
from atlas.build.engine.shard import WorkerContext

# A worker with several threads may serve two builds at once.
_lock = threading.Lock()
_context: WorkerContext | None = None
_sha256 = ""


def greeted(data: bytes, sha256: str) -> bytes:
    """Open the network and return the worker's versions, or an error, pickled."""
    try:
        with _lock:
            _opened(data, sha256)
        return pickle.dumps(versions())
    except Exception as error:
        return pickle.dumps(repr(error))


def carried_out(data: bytes, sha256: str, order: bytes) -> bytes:
    """Return the reply to an order, see `serialized_network.pieces_of`."""
    with _lock:
        return reply(_opened(data, sha256), order)


def left(sha256: str) -> None:
    """Forget the network once its build is over; a worker carries this out after the order that it is at."""
    with _lock:
        if sha256 == _sha256:
            _forget()


def _opened(data: bytes, sha256: str) -> WorkerContext:
    """Return the context of this network; if another network is open, or none, open this one first."""
    global _context, _sha256
    if _context is None or sha256 != _sha256:
        _forget()
        _context, _sha256 = WorkerContext(deserialized(SerializedNetwork(data, sha256)), n_sessions=1), sha256
    return _context


def _forget() -> None:
    global _context, _sha256
    if _context is not None:
        _context.close()
    _context, _sha256 = None, ""
