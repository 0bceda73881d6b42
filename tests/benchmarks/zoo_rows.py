"""Tables with a row a network: each is measured in processes of its own, kept in a file, put into docs."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

MEGABYTE = 1e6
SECONDS = 1500
PROGRAM = (sys.executable, "build.py")

Row = dict[str, Any]
Boxes = dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]


@dataclass(frozen=True)
class Zoo:
    """A table of the docs: which networks, what is measured of one, and how its row is written."""

    page: str
    """The page below docs/ that holds the table."""
    marks: tuple[str, str]
    """The comments that the table stands between."""
    heads: tuple[str, ...]
    """The names of its columns."""
    names: Callable[[], Sequence[str]]
    """Returns the networks, in the order in which they are measured."""
    examined: Callable[[str, Row], Row]
    """Returns the row of a network, given what is known of it: starts processes for what takes memory."""
    compared: Callable[[str], Row]
    """Returns what is measured of a network in a process of its own, see `in_own_process`."""
    cells: Callable[[Row], Sequence[str]]
    """Returns the cells of a row."""
    is_whole: Callable[[Row], bool] = bool
    """Returns whether all of a row is measured; else a later run adds what is missing."""

    def line(self, row: Row) -> str:
        """Return a row of the table."""
        return "| " + " | ".join(self.cells(row)) + " |"

    def table(self, lines: Iterable[str]) -> str:
        """Return lines of the table with its head, as Markdown."""
        return "\n".join(["| " + " | ".join(self.heads) + " |", "|" + "---|" * len(self.heads), *lines])

    def write_docs(self, rows: Sequence[Row]) -> None:
        """Put the table between its marks; what stands there of other networks stays."""
        path = ROOT / "docs" / self.page
        before, _, rest = path.read_text(encoding="utf-8").partition(self.marks[0])
        old, _, after = rest.partition(self.marks[1])
        lines = {each.split("|")[1].strip(): each for each in old.strip().splitlines()[2:]}
        lines |= {row["network"]: self.line(row) for row in rows}
        shown = self.table(lines[name] for name in sorted(lines))
        text = f"{before}{self.marks[0]}\n\n{shown}\n\n{self.marks[1]}{after}"
        path.write_text(text, encoding="utf-8")

    def run(self, given: argparse.Namespace) -> None:
        """Measure what is missing in the file of rows, and print the table."""
        if given.compare:
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            given.out.write_text(json.dumps(self.compared(given.compare)))
            return
        text = given.out.read_text(encoding="utf-8") if given.out.exists() else ""
        rows = {row["network"]: row for row in map(json.loads, text.splitlines())}
        partial = [name for name in self.names() if not self.is_whole(rows.get(name, {}))]
        for name in () if given.docs else given.only or partial:
            known = {} if given.only else rows.get(name, {})
            rows[name] = self.examined(name, known)
            print(self.line(rows[name]), flush=True)
            if rows[name] != known:
                with given.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(rows[name]) + "\n")
        if given.docs:
            self.write_docs(list(rows.values()))
        print(self.table(map(self.line, rows.values())))


def parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all tables have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--out", type=Path, default=Path(out), help="a line a network; added to")
    made.add_argument("--only", action="append", help="this network, again if it was run")
    made.add_argument("--docs", action="store_true", help="write the table into the docs, run nothing")
    made.add_argument("--compare", help=argparse.SUPPRESS)
    return made


def measured(command: list[str], seconds: float, *, said: int = 1) -> tuple[int, float, float, str]:
    """Run a program; return its exit status, its seconds, its peak of memory in MB, and its last lines."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
        usage = None
        while usage is None:
            pid, status, found = os.wait4(process.pid, os.WNOHANG)
            usage = found if pid else None
            if usage is None and time.monotonic() - start > seconds:
                process.kill()
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = [line.strip() for line in output if line.strip()]
    text = " / ".join(lines[-said:])
    return process.returncode, time.monotonic() - start, usage.ru_maxrss * 1024 / MEGABYTE, text


def in_own_process(program: str, name: str, *options: str) -> Row:
    """Return what a program compares of a network in a process of its own; why it ended, where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        command = [sys.executable, program, "--compare", name, "--out", str(result), *options]
        code, _, _, said = measured(command, SECONDS)
        row: Row = json.loads(result.read_text()) if result.exists() else {"notes": []}
    if code:
        row["notes"].append(f"comparison: {said}")
    return row


def build(row: Row, source: str, *, n_photographs: int, program: Sequence[str] = PROGRAM) -> None:
    """Add to a row what a draft build of two neurons in each of its `chosen` layers takes, and its check.

    `program` is the command line of the atlas.
    """
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder) / "photographs"
        photographs.mkdir()
        images = Path(os.environ.get("ATLAS_SHARED", ROOT.parent / "shared")) / "images"
        found = sorted(path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for path in found[:n_photographs]:
            (photographs / path.name).symlink_to(path)
        chosen, site = row["chosen"], str(Path(folder) / "site")
        command = [*program, "build", "--model", source, "--layers", ",".join(chosen)]
        command += ["--neurons", ",".join(f"{name}:0-1" for name in chosen), "--preset", "draft"]
        command += ["--examples", str(photographs), "--site", site]
        code, row["build_s"], row["build_mb"], said = measured(command, SECONDS)
        if code:
            row["notes"].append(f"build: exit {code}: {said}")
        code, _, _, said = measured([*PROGRAM, "check", site], SECONDS, said=3)
        row["problems"] = said if code else "0"


def problems(row: Row) -> str:
    """Return what `check` says of a built site, without the line that counts and names a temporary folder."""
    before, _, last = str(row.get("problems", "")).rpartition(" / ")
    return before or last


def number(row: Row, key: str, form: str = "{:.0f}") -> str:
    """Return a number of a row, nothing where it has none."""
    return form.format(row[key]) if row.get(key) is not None else ""


def notes(row: Row) -> str:
    """Return the notes of a row as a cell."""
    return "; ".join(row["notes"]).replace("|", "/")[:200]


def wrong_field(layer: Any, shape: tuple[int, ...], boxes: Boxes) -> str:
    """Return how a field within the image differs from the pixels that positions see."""
    for (y, x), seen in boxes.items():
        for at, (position, (first, last)) in enumerate(zip((y, x), seen, strict=True)):
            end = shape[at] - 1
            if layer.receptive_field is None:
                window = (0, end)
            else:
                field = layer.receptive_field
                start = field.offset[at] + position * field.stride[at]
                window = (max(math.floor(start), 0), min(math.ceil(start) + field.size[at] - 1, end))
            # At a border of the image padding on the way may hide more of it.
            begins = first == window[0] or (window[0] == 0 and first > 0)
            ends = last == window[1] or (window[1] == end and last < end)
            if not (begins and ends):
                return f"position {position} sees {first} to {last}, not {window[0]} to {window[1]}"
    return ""
