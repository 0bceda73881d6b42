"""A network as bytes, sent to each worker once; and the bytes of replies to orders."""

from __future__ import annotations

import dataclasses
import pickle
import platform
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

from atlas import __version__
from atlas.build.engine.shard import Piece, WorkerContext
from atlas.core.errors import AtlasError, ModelError
from atlas.model.network import Network

# Packages whose version may change the bytes of an artefact, or the pickles that processes exchange.
_PACKAGES = ("tensorflow", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True, slots=True)
class SerializedNetwork:
    """A network in a form that can be sent to another process."""

    data: bytes
    """The fields of the Network, pickled."""
    sha256: str
    """SHA-256 of `data`, in hexadecimal digits."""


def serialized(network: Network) -> SerializedNetwork:
    """Return a network as bytes: all of its fields but the example images."""
    # Workers receive weights and compute none, so they need no example images.
    names = [field.name for field in dataclasses.fields(network) if field.name != "examples"]
    fields = {name: getattr(network, name) for name in names}
    data = pickle.dumps(fields, protocol=pickle.HIGHEST_PROTOCOL)
    return SerializedNetwork(data, sha256(data).hexdigest())


def deserialized(model: SerializedNetwork) -> Network:
    """Return the network that the bytes hold; raises ModelError where they were damaged on the way."""
    digest = sha256(model.data).hexdigest()
    if digest != model.sha256:
        raise ModelError(
            "the model was damaged on its way to a worker",
            found=f"the SHA-256 {digest}",
            expected=model.sha256,
            remedy="build again",
        )
    return Network(**pickle.loads(model.data))


def versions() -> dict[str, str]:
    """Return the versions, by program, that must agree between workers and coordinator for equal bytes."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"circuit-atlas": __version__, "Python": python} | {name: version(name) for name in _PACKAGES}


def reply(context: WorkerContext, order: bytes) -> bytes:
    """Carry out a pickled order and return its pieces, or its error, as bytes for `pieces_of`."""
    try:
        return pickle.dumps(list(pickle.loads(order)(context)))
    except Exception as error:
        return pickle.dumps(_portable(error))


def pieces_of(data: bytes) -> Iterator[Piece]:
    """Return the pieces of a reply, or raise the error of the order."""
    content = pickle.loads(data)
    if isinstance(content, BaseException):
        raise content
    pieces: list[Piece] = content
    return iter(pieces)


def _portable(error: Exception) -> Exception:
    """Return an error that can be pickled, with the traceback as a note."""
    if isinstance(error, AtlasError):
        return error
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # some libraries' errors take arguments that pickle does not pass
        error = RuntimeError(repr(error))
    error.add_note(f"in a worker:\n{text}")
    return error
