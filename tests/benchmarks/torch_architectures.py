"""Draws PyTorch modules and compares each network with PyTorch; counts what differs and what is refused.

    python tests/benchmarks/torch_architectures.py --count 1000 --first-seed 0

Batches are examined in a process of their own: an abort of TensorFlow costs one seed. Prints a line for each
failure, then the refusals by message, and exits with 1 where anything failed. `--only SEED` shows the code
of one module and all that is found out of it.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

Outcome = dict[str, Any]
# A process forgets its graphs after so many modules.
BATCH = 50


def work(first: int, last: int) -> None:
    """Examine modules; say of each when it begins and what was found."""
    from torch_architectures import drawn
    from torch_examination import examine

    logging.disable(logging.WARNING)
    for seed in range(first, last):
        print(json.dumps({"begins": seed}), flush=True)
        start = time.monotonic()
        report = examine(drawn(seed))
        outcome = {**vars(report), "seed": seed, "seconds": round(time.monotonic() - start, 2)}
        print(json.dumps(outcome), flush=True)


def outcomes(first: int, last: int) -> Iterator[Outcome]:
    """Return what was found out of each module, in order."""
    while first < last:
        command = [sys.executable, __file__, "--work", str(first), str(min(first + BATCH, last))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            said = json.loads(line)
            first = said.get("begins", first)
            if "seed" in said:
                first = said["seed"] + 1
                yield said
        errors = process.stderr.read().strip().splitlines()
        if process.wait():
            why = f"exit code {process.returncode}: {errors[-1] if errors else ''}"
            yield {"seed": first, "failures": [f"died: {why}"], "refusal": "", "worst": 0.0, "compared": {}}
            first += 1


def kind(refusal: str) -> str:
    """Return a refusal without the places and numbers that are its own."""
    ops = re.search(r"cannot read: found (.*); build", refusal)
    if ops:
        found = (each.partition(" ")[0] for each in ops[1].split("; "))
        return f"unknown operations: {', '.join(sorted(found))}"
    text = re.sub(r"^\S+ in (?:Net|net)\S*: |^the network's own forward in \S+: |^\S*[nN]et ", "", refusal)
    return re.sub(r"\d[\d.x, ]*", "# ", text)[:110]


def summary(found: list[Outcome]) -> str:
    """Return the refusals by kind, and the sums."""
    refused = collections.Counter(kind(each["refusal"]) for each in found if each["refusal"])
    lines = [f"{count:>5}  {text}" for text, count in refused.most_common()]
    compared: collections.Counter[str] = collections.Counter()
    for each in found:
        compared.update(each["compared"])
    failed = sum(bool(each["failures"]) for each in found)
    worst = max((each["worst"] for each in found), default=0.0)
    made = ", ".join(f"{n} of {what}" for what, n in compared.most_common())
    read = len(found) - sum(refused.values())
    lines.append(f"{len(found)} modules: {read} read, {sum(refused.values())} refused, {failed} failed")
    return "\n".join([*lines, f"largest difference {worst:.1e}; comparisons: {made}"])


def show(seed: int) -> None:
    """Print a module's code and all that is found out of it."""
    from torch_architectures import drawn
    from torch_examination import examine

    net = drawn(seed)
    print(net.code, net.size, examine(net), sep="\n")


def main() -> None:
    """Read the arguments, examine the modules, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="the seed of the first")
    parser.add_argument("--only", type=int, help="this one, in the process itself")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work or given.only is not None:
        work(*given.work) if given.work else show(given.only)
        return
    found = []
    for outcome in outcomes(given.first_seed, given.first_seed + given.count):
        found.append(outcome)
        for failure in outcome["failures"]:
            print(f"{outcome['seed']}: {failure}", flush=True)
    print(summary(found))
    sys.exit(1 if any(outcome["failures"] for outcome in found) else 0)


if __name__ == "__main__":
    main()
