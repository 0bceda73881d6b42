"""Run the notebooks of docs/ and keep their outputs: `make docs`. Needs no Jupyter.

`python docs/run_notebooks.py NAME …` runs only those named.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = ("tutorial", "pytorch", "visualizing_weights")
# Where a notebook keeps the SHA-256 of the code that its outputs are of.
RAN = "ran_code_sha256"


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs that its code cells have now, run in order in one namespace."""
    space: dict[str, Any] = {"__name__": "notebook"}
    count = 0
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = list(_outputs("".join(cell["source"]), space, count))
            cell = {**cell, "execution_count": count, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells, "metadata": {**notebook["metadata"], RAN: code_digest(notebook)}}


def code_digest(notebook: dict[str, Any]) -> str:
    """Return a SHA-256 of a notebook's code cells."""
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _outputs(source: str, space: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Yield what a cell prints, then what its last line is worth, as Jupyter would keep them."""
    tree = ast.parse(source, filename=f"cell {count}")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, f"cell {count}", "exec"), space)
        value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), space) if last else None
    if printed.getvalue():
        yield {
            "name": "stdout",
            "output_type": "stream",
            "text": printed.getvalue().splitlines(keepends=True),
        }
    if value is not None:
        data = _shown(value)
        yield {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}


def _shown(value: Any) -> dict[str, Any]:
    """Return a value as Jupyter shows it: a figure or a picture where it is one."""
    html = value._repr_html_() if hasattr(value, "_repr_html_") else None
    if html is not None:
        return {"text/html": html.splitlines(keepends=True), "text/plain": [f"a {type(value).__name__}"]}
    if hasattr(value, "_repr_png_"):
        return {
            "image/png": base64.b64encode(value._repr_png_()).decode() + "\n",
            "text/plain": ["a picture"],
        }
    return {"text/plain": repr(value).splitlines(keepends=True)}


if __name__ == "__main__":
    for name in sys.argv[1:] or NOTEBOOKS:
        path = Path(__file__).with_name(f"{name}.ipynb")
        ran = run(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(ran, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
