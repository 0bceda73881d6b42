"""A network as bytes, which are sent to a worker once, and the reply to an order."""

from __future__ import annotations

import dataclasses
import pickle
import platform
import traceback
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

from atlas import __version__
from atlas.build.engine.shard import Piece, WorkerContext
from atlas.core.errors import AtlasError, ModelError
from atlas.model.network import Network

# What can change the bytes of an artefact, or whether two processes understand each other.
_PACKAGES = ("tensorflow", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True, slots=True)
class SerializedNetwork:
    """A network's bytes and their SHA-256."""

    data: bytes
    sha256: str


def serialized(network: Network) -> SerializedNetwork:
    """Return a network as bytes: its graph and what is known of it, whatever source it came from."""
    # Workers are given weights, and compute none.
    names = [field.name for field in dataclasses.fields(network) if field.name != "examples"]
    fields = {name: getattr(network, name) for name in names}
    data = pickle.dumps(fields, protocol=pickle.HIGHEST_PROTOCOL)
    return SerializedNetwork(data, sha256(data).hexdigest())


def deserialized(model: SerializedNetwork) -> Network:
    """Return the network that the bytes hold; raises ModelError where they are not those that were sent."""
    found = sha256(model.data).hexdigest()
    if found != model.sha256:
        raise ModelError(
            "the model was damaged on its way to a worker",
            found=f"the SHA-256 {found}",
            expected=model.sha256,
            remedy="build again",
        )
    return Network(**pickle.loads(model.data))


def versions() -> dict[str, str]:
    """Return the versions that workers and coordinator have to share, for equal bytes."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"circuit-atlas": __version__, "Python": python} | {name: version(name) for name in _PACKAGES}


def reply(context: WorkerContext, order: bytes) -> bytes:
    """Carry out a pickled order and return its pieces, or what it raised, as bytes for `pieces_of`."""
    try:
        return pickle.dumps(list(pickle.loads(order)(context)))
    except Exception as error:
        return pickle.dumps(_portable(error))


def pieces_of(data: bytes) -> list[Piece]:
    """Return the pieces of a reply, or raise what the order raised."""
    found = pickle.loads(data)
    if isinstance(found, BaseException):
        raise found
    pieces: list[Piece] = found
    return pieces


def _portable(error: Exception) -> Exception:
    """Return an error that the coordinator can raise, with the place where it was raised."""
    if isinstance(error, AtlasError):
        return error
    told = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # errors of libraries may need arguments that pickle does not give them
        error = RuntimeError(repr(error))
    error.add_note(f"in a worker:\n{told}")
    return error
