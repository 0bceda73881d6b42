"""Names of layers in the names of a graph's nodes.

TensorFlow allows few characters in a node's name. Other characters are written as their code points: the
layer "Конв" has the node ".>41a.>43e.>43d.>432./convolution".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNSAFE = re.compile(r"^[._\\-]|[^A-Za-z0-9_.-]")
_NUMBERED = re.compile(r">([0-9a-f]{1,6})\.")


def node_name(layers: Sequence[str], rest: str) -> str:
    """Return the name of the node `rest` in the scopes of layers with any names; `shown_name` decodes it."""
    safe = [_UNSAFE.sub(lambda char: f">{ord(char[0]):x}.", layer) for layer in layers]
    name = "/".join([*safe, rest] if rest else safe)
    return f".{name}" if name.startswith(">") else name


def shown_name(name: str) -> str:
    """Return a node's or scope's name with code points decoded to characters."""
    return _NUMBERED.sub(_character, name[1:] if name.startswith(".>") else name)


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else match[0]
