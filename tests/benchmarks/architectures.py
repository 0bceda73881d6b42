"""Draws architectures and compares each network with its oracle; counts what differs, kind by kind.

    python tests/benchmarks/architectures.py --count 2000 --first-seed 0 --out architectures.jsonl

Batches run in processes of their own: an abort of TensorFlow costs one seed. Writes a line of JSON a seed,
prints a table of kinds with the seeds of the shortest networks, and exits with 1 where anything failed. A
refusal in one line is listed apart. `--only SEED` shows all that is found out of one.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

BATCH = 40
# A batch that takes longer hangs.
SECONDS = 1200
SHOWN = 5

Outcome = dict[str, Any]


def work(seeds: Iterable[int], *, pictures: int) -> None:
    """Examine architectures; say of each when it begins and what was found."""
    from architecture_pen import drawn
    from atlas.model.graph.backend import tf
    from examination import examine

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for seed in seeds:
        print(json.dumps({"begins": seed}), flush=True)
        architecture, start = drawn(seed), time.monotonic()
        tf.keras.backend.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            picture = bool(pictures) and seed % pictures == 0
            report = examine(architecture, seed, Path(folder), picture=picture)
        outcome = {
            "seed": seed,
            "failures": [[finding.kind, finding.detail] for finding in report.failures],
            "refusals": report.refusals,
            "compared": report.compared,
            "seconds": round(time.monotonic() - start, 2),
            "network": str(architecture),
        }
        print(json.dumps(outcome), flush=True)


def outcomes(first: int, end: int, *, pictures: int) -> Iterator[Outcome]:
    """Yield what was found of each seed; a process that dies is a failure of the seed it was at."""
    at = first
    while at < end:
        last = min(at + BATCH, end)
        command = [sys.executable, __file__, "--work", str(at), str(last), "--pictures", str(pictures)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        begun, done = at, at
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            said = json.loads(line)
            if "begins" in said:
                begun = said["begins"]
                continue
            done = said["seed"] + 1
            yield said
        errors = process.stderr.read().strip().splitlines()
        if process.wait() and done < last:
            why = f"exit code {process.returncode}: {errors[-1] if errors else ''}"
            yield {"seed": begun, "failures": [["died", why]], "refusals": [], "compared": {}, "network": ""}
            done = begun + 1
        at = max(done, at + 1)


def kind_of(kind: str, detail: str) -> str:
    """Return a finding without the names and numbers that are its own."""
    plain = re.split(r": \{| among \[|, but depends on", detail)[0]
    plain = re.sub(r"window \([^)]*\)|on the way to \S+,", "", plain)
    plain = re.sub(r"[\w/.-]*\d[\w/.,:%-]*", "#", plain)
    return f"{kind}: {re.sub(r'[(][# ,]*[)]|[(]*#[)]*', '#', plain)}"[:130]


def table(found: list[Outcome]) -> str:
    """Return the kinds of failures and of refusals, the most frequent first, with the shortest networks."""
    lines = []
    for title in ("failures", "refusals"):
        kinds: dict[str, dict[str, Any]] = collections.defaultdict(dict)
        for outcome in found:
            for one in outcome[title]:
                kind, detail = one if title == "failures" else one.split(": ", 1)
                key = kind_of(kind.partition(" ")[0] if title == "refusals" else kind, detail)
                kinds[key][outcome["seed"]] = len(outcome["network"])
        lines += [f"\n{title}", f"{'seeds':>6}  kind"]
        for kind, seeds in sorted(kinds.items(), key=lambda item: -len(item[1])):
            shortest = sorted(seeds, key=lambda seed: seeds[seed])[:SHOWN]
            lines.append(f"{len(seeds):>6}  {kind}  [{', '.join(map(str, shortest))}]")
    return "\n".join(lines)


def total(found: list[Outcome]) -> str:
    """Return the sums in one line."""
    compared: collections.Counter[str] = collections.Counter()
    for outcome in found:
        compared.update(outcome["compared"])
    failed = sum(bool(outcome["failures"]) for outcome in found)
    refused = sum(bool(outcome["refusals"]) for outcome in found)
    made = ", ".join(f"{n} of {kind}" for kind, n in compared.most_common())
    return f"{len(found)} networks: {failed} failed, {refused} refused somewhere; comparisons: {made}"


def main() -> None:
    """Read the arguments, examine the architectures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="the seed of the first")
    parser.add_argument("--only", type=int, help="this one, in the process itself")
    parser.add_argument(
        "--pictures", type=int, default=20, help="draw one of every so many networks; 0: none"
    )
    parser.add_argument("--out", type=Path, default=Path("architectures.jsonl"), help="a line a seed")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work or given.only is not None:
        seeds = range(*given.work) if given.work else [given.only]
        work(seeds, pictures=given.pictures if given.work else 1)
        return
    found = []
    with given.out.open("a", encoding="utf-8") as out:
        for outcome in outcomes(given.first_seed, given.first_seed + given.count, pictures=given.pictures):
            found.append(outcome)
            out.write(json.dumps(outcome) + "\n")
            out.flush()
    print(table(found))
    print(f"\n{total(found)}")
    sys.exit(1 if any(outcome["failures"] for outcome in found) else 0)


if __name__ == "__main__":
    main()
