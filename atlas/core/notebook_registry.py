"""Results that notebooks show as figures: they inherit from `Displayed`; `atlas.notebook` draws them.

This module imports neither results nor HTML, so that results stay plain and quick to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

# Filled by `atlas.notebook` when it is imported: class -> its HTML.
_displays: dict[type, Callable[[Any], str]] = {}


class Displayed:
    """A result that a notebook shows as a figure, once `atlas.notebook` is imported; before, as its repr."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """Return the figure's HTML, None where its class has no display."""
        show = _displays.get(type(self))
        return None if show is None else show(self)


T = TypeVar("T", bound=Displayed)


def displays(kind: type[T]) -> Callable[[Callable[[T], str]], Callable[[T], str]]:
    """Register the decorated function: it makes the HTML of every result of exactly this class."""

    def keep(show: Callable[[T], str]) -> Callable[[T], str]:
        _displays[kind] = show
        return show

    return keep


def registered() -> frozenset[type]:
    """Return the classes that have a display."""
    return frozenset(_displays)
