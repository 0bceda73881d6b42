"""AtlasError and its subclasses: each failure that a user can cause, as what, found, expected, remedy."""

from __future__ import annotations

import difflib
import errno
import unicodedata
from collections.abc import Iterable

# Unicode categories of characters that end lines, change their direction or cannot be seen.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LONGEST_REASON = 240
# Errors of the operating system, in a user's words.
_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EISDIR: "a folder is in its place",
    errno.EEXIST: "something else is in its place",
    errno.ELOOP: "links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
}


class AtlasError(Exception):
    """A failure with a message for the user; the command line prints it and exits with 1."""

    def __init__(
        self,
        what: str,
        *,
        found: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        """Compose `what: found F, expected E; remedy` from the parts that are given, as one line."""
        parts = [f"found {found}"] if found is not None else []
        parts += [f"expected {expected}"] if expected is not None else []
        message = what + (": " + ", ".join(parts) if parts else "")
        super().__init__(legible(message + (f"; {remedy}" if remedy else "")))


class ConfigError(AtlasError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class ModelError(AtlasError):
    """A model cannot be read, or cannot be used."""


class LayerError(AtlasError):
    """A layer does not exist, or cannot serve as asked."""


class NeuronError(AtlasError):
    """A neuron does not exist."""


class ParameterError(AtlasError, KeyError):
    """A parameter does not exist, or cannot take the values given; a KeyError, as a mapping's must be."""

    # KeyError would put the message in quotes.
    __str__ = Exception.__str__


class LinearizeError(AtlasError):
    """An operation between two layers has no linear twin."""


class WeightsSizeError(LinearizeError):
    """The expanded weights of two layers far apart would not fit into memory."""


class NumberError(AtlasError):
    """Numbers cannot be used: they are not finite, or have no effect."""


class ExamplesError(AtlasError):
    """A folder of images cannot be used."""


class ExamplesFolderError(ExamplesError):
    """A folder of examples holds no image that can be read: another folder was meant."""


class EngineError(AtlasError):
    """Work cannot be handed to other processes, or ends those that take it."""


class StoreError(AtlasError):
    """The store cannot be read or written."""


class DamagedError(StoreError):
    """An artefact's bytes are not those that were stored."""


class NotMadeError(StoreError):
    """An artefact is requested that could not be made."""


class SiteError(AtlasError):
    """The site folder cannot be written, or fails its check."""


class PublishError(AtlasError):
    """A site cannot be published, or its target does not answer as it should."""


_OF_THE_BUILD = (StoreError, EngineError, ConfigError, ExamplesFolderError, MemoryError, OSError)


def why_not_made(error: Exception) -> str:
    """Return, in one line, why an artefact could not be made; raise errors that end the build.

    A full disk or memory, lost workers and wrong settings would stop all later artefacts too.
    """
    if isinstance(error, _OF_THE_BUILD) and not isinstance(error, NotMadeError):
        raise error
    if isinstance(error, AtlasError):
        return str(error)
    # TensorFlow's messages have many lines: where the graph was built, the node, and then what is wrong.
    text = str(getattr(error, "message", None) or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    nodes = [at for at, line in enumerate(lines) if line.startswith("Node: ")]
    line = lines[nodes[-1] + 1] if nodes and nodes[-1] + 1 < len(lines) else (lines or [""])[0]
    line = line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "…"
    return legible(f"{type(error).__name__}: {line}" if line else type(error).__name__)


def legible(text: str) -> str:
    """Return a text as one line with every character visible: names from files may hold any character."""
    return "".join(
        (" " if char.isspace() else ascii(char)[1:-1]) if unicodedata.category(char) in _HIDDEN else char
        for char in text
    )


def nearest(name: str, names: Iterable[str], *, listed: bool = False) -> str:
    """Return a remedy that offers the names most like `name`, best first; the first names where none is near.

    With `listed`, for an error that lists the names already, it is "" where none is near.
    """
    pool = list(names)
    close = difflib.get_close_matches(name, pool, n=3, cutoff=0.5)
    if close or not pool:
        return "did you mean " + ", ".join(close) + "?" if close else "there is none to choose from"
    return "" if listed else "choose from " + ", ".join(pool[:6]) + (", …" if len(pool) > 6 else "")


def reason_of(error: OSError) -> str:
    """Return an operating system's error in a user's words."""
    return _WORDS.get(error.errno or 0, error.strerror or str(error))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
