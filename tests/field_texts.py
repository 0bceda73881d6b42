"""The texts that stand below the fields of a record: what each field is, in its class."""

from __future__ import annotations

import ast
import inspect
from typing import get_type_hints


def field_texts(record: type) -> dict[str, str]:
    """Return the fields of a record with the text that stands below each, "" where none does."""
    (definition,) = ast.parse(inspect.getsource(record)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for at, node in enumerate(definition.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match definition.body[at + 1 : at + 2]:
                case [ast.Expr(ast.Constant(str(text)))]:
                    found[node.target.id] = text
                case _:
                    found[node.target.id] = ""
    return found


def without_text(record: type) -> list[str]:
    """Return the fields of a record that have no text below them, one line that ends in a full stop."""
    texts = field_texts(record)
    assert list(texts) == list(get_type_hints(record))
    return [name for name, text in texts.items() if not text.endswith(".") or "\n" in text]
