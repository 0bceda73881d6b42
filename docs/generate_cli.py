"""Write docs/cli.md from the commands' own help and the config's own defaults: `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect

from atlas.cli.commands import main
from atlas.core.config import AtlasConfig

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 100

OPENING = """\
# Command line

Written by `make docs` from the program itself; a test fails when it is stale.

Every command is `circuit-atlas COMMAND`; in a checkout `python build.py COMMAND` does the same. A command
that fails prints one line that says what is wrong and what to do, and exits with 1; `Ctrl-C` exits with 130.
"""
CONFIG = """\
## The config file

`CONFIG` is a TOML file. Each key below may be left out; flags override it. `build`, `compute`, `render`
and `explain` read the same file. An unknown key, or a value of the wrong type, is an error that names the
line.
"""


def page() -> str:
    """Return the text of docs/cli.md."""
    return "\n".join([OPENING, *_command_sections(), CONFIG, *_config_sections()])


def _command_sections() -> Iterator[str]:
    root = click.Context(main, info_name="circuit-atlas", terminal_width=WIDTH, max_content_width=WIDTH)
    yield _help_section("circuit-atlas", main.get_help(root))
    for name, command in main.commands.items():
        context = click.Context(command, parent=root, info_name=name)
        yield _help_section(name, command.get_help(context))


def _help_section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text}\n```\n"


def _config_sections() -> Iterator[str]:
    top = inspect.type_info(AtlasConfig)
    assert isinstance(top, inspect.StructType)
    yield _config_section("At the top", top)
    for field in top.fields:
        if isinstance(field.type, inspect.StructType):
            yield _config_section(f"`[{field.name}]`", field.type)
        elif _is_array(field.type):
            yield _config_section(f"`[[{field.name}]]`", field.type.item_type)


def _is_array(kind: inspect.Type) -> bool:
    """Return whether a setting is written as an array of tables."""
    return isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType)


def _config_section(title: str, struct: inspect.StructType) -> str:
    rows = [
        f"| `{field.name}` | {_values(field.type)} | {_default(field)} |"
        for field in struct.fields
        if not (isinstance(field.type, inspect.StructType) or _is_array(field.type))
    ]
    told = cleandoc(struct.cls.__doc__ or "")
    return "\n".join([f"### {title}\n\n{told}\n", "| key | values | default |", "|---|---|---|", *rows, ""])


def _values(kind: inspect.Type) -> str:
    """Return the values that a setting may have, in words."""
    match kind:
        case inspect.UnionType(types):
            return " or ".join(_values(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.LiteralType(values):
            return ", ".join(f"`{json.dumps(value)}`" for value in values)
        case inspect.IntType(ge=low, le=high):
            return "whole number" + (
                f", {low} " + (f"to {high}" if high else "or more") if low is not None else ""
            )
        case inspect.VarTupleType(item_type=item):
            return f"list of {_values(item)}"
        case inspect.TupleType(item_types=items):
            return f"list of {len(items)} ({_values(items[0])})"
        case inspect.DictType(value_type=value):
            return f"table of name = {_values(value)}"
        case inspect.BoolType():
            return "`true`, `false`"
        case inspect.FloatType():
            return "number"
        case _:
            return "text"


def _default(field: inspect.Field) -> str:
    if field.required:
        return "must be set"
    value: Any = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "not set" if value in (None, "", {}) else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
