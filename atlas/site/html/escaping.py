"""Fast escaping: a page has 700 short texts, and nearly all have no character to escape."""

from __future__ import annotations

import re

from jinja2 import Environment, nodes
from markupsafe import Markup, escape

_special = re.compile("[&<>\"']").search


def escaped(value: object) -> str:
    """Return a value as a template prints it, like markupsafe's `escape` but in a third of the time."""
    if type(value) is str:
        return str(escape(value)) if _special(value) else value
    return value if type(value) is Markup else str(escape(value))


class EscapingEnvironment(Environment):
    """A Jinja environment whose templates print values with `escaped`."""

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        """Return a template's code with `escape` replaced; the code looks that name up when it prints."""
        code = super()._generate(source, name, filename, defer_init)
        return f"{code}\nfrom {__name__} import escaped as escape\n"
