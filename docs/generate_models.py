"""Write the table of ops in docs/models.md from the program's own: `make docs`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from atlas.model.graph.ops import OPS

PAGE = Path(__file__).with_name("models.md")
START, END = "<!-- ops: written by `make docs` -->", "<!-- end of ops -->"
MEANING = {
    "linear": "stays as it is",
    "weighted": "linear in one operand; the others are constant, or held at the operating point",
    "identity": "is passed on",
    "average": "the largest of several values becomes their mean",
    "norm": "becomes its inference scale",
    "sum": "adds what varies; what has lost its positions is held at the operating point",
    "product": "scales by a constant, or by a gate held at the operating point",
    "extremum": "is passed on where the other operand is constant; of two that vary it has no twin",
    "curve": "part of an activation spelled out in several ops, or of a gate; none alone",
    "none": "none; allowed only on the way to a gate",
}


def table() -> str:
    """Return the table of ops, by what the linear twin makes of them."""
    return "\n".join([START, "", *_rows(), "", END])


def page(text: str) -> str:
    """Return the text of docs/models.md with the table of today's ops in it."""
    before, _, rest = text.partition(START)
    return before + table() + rest.partition(END)[2]


def _rows() -> Iterator[str]:
    yield "| in the linear twin | ops |"
    yield "|---|---|"
    names = defaultdict(list)
    for name, op in OPS.items():
        names[op.twin].append(f"`{name}`")
    for twin, meaning in MEANING.items():
        yield f"| {meaning} | {', '.join(sorted(names[twin]))} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
