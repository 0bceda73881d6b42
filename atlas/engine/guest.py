"""What runs on a worker of a Dask cluster: the network is opened once per process and kept between orders."""

from __future__ import annotations

import pickle
import threading

from atlas.engine.parcel import Parcel, reply, unpacked, versions
from atlas.engine.shard import Bench

# A worker of several threads may be given to two builds.
_lock = threading.Lock()
_bench: Bench | None = None
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
    """Return the reply to an order, see `parcel.pieces_of`."""
    with _lock:
        return reply(_opened(data, sha256), order)


def left(sha256: str) -> None:
    """Forget the network, when its build is over."""
    with _lock:
        if sha256 == _sha256:
            _forget()


def _opened(data: bytes, sha256: str) -> Bench:
    global _bench, _sha256
    if _bench is None or sha256 != _sha256:
        _forget()
        _bench, _sha256 = Bench(unpacked(Parcel(data, sha256)), n_lanes=1), sha256
    return _bench


def _forget() -> None:
    global _bench, _sha256
    if _bench is not None:
        _bench.close()
    _bench, _sha256 = None, ""
