r"""Publishes a site, reads it back over HTTP, publishes it again, changes a neuron; against other programs.

    python tests/benchmarks/publish.py change STORE SITE CHANGED --neuron mixed3b_379
    python tests/benchmarks/publish.py to TARGET SITE CHANGED [--read URL] [--endpoint URL]
    python tests/benchmarks/publish.py to TARGET SITE CHANGED --against aws,rclone [--endpoint URL]

`change` makes the site of the same store with one picture turned upside down. `to` publishes SITE to an
empty target (s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, a folder, git+REMOTE#BRANCH) and crawls it: every link,
every byte, every Content-Type and Cache-Control. Then it publishes SITE again, and CHANGED: what was written
anew must be nothing, and exactly the files that differ. A branch is checked out and shown as it is; so is a
folder without --read. Their headers are the host's, and not judged.

With --against whole commands are timed, `--rounds` times in turns, on prefixes of their own: all files, none,
and one neuron's. Credentials come from the environment or a file. One JSON line; exits with 1 on any fault.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from PIL import Image

from atlas.site import render_site
from atlas.store import Store, keys
from browsing import serving
from crawling import Visitor, cache_faults, type_faults
from killing import contents

BUILD = ROOT / "build.py"
# Of all programs alike; the machine has fewer cores than that anyway.
AT_ONCE = 32
SECOND = 1.1


def change(store: Path, site: Path, changed: Path, neuron: str) -> None:
    """Render a copy of a site from a copy of its store in which a neuron's picture is another."""
    slug, _, index = neuron.rpartition("_")
    key = keys.featurevis("neuron", slug, int(index))
    shutil.copytree(site, changed)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(store, Path(folder) / "store")
        with Store.open(Path(folder) / "store", write=True) as copy:
            picture, buffer = Image.open(BytesIO(copy.read(key))), BytesIO()
            picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(buffer, "JPEG", quality=90)
            copy.put(key, buffer.getvalue(), meta=copy.meta(key))
            render_site(copy, changed)


@dataclass
class Host:
    """A target, and what is known of how to reach and to read it."""

    target: str
    endpoint: str | None
    read: str | None
    credentials: str | None = None
    faults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_branch(self) -> bool:
        """Return whether the target is a branch of a git remote."""
        return self.target.startswith("git+")

    def publish(self, site: Path) -> str:
        """Publish as a user does; return what it says."""
        return told(self.command(site, self.target))

    def command(self, site: Path, target: str) -> list[str]:
        """Return the command of a publish to this host."""
        command = [sys.executable, str(BUILD), "publish", str(site), target, "--apply"]
        command += ["--credentials", self.credentials] if self.credentials else []
        return command + (["--endpoint", self.endpoint, "--region", "us-east-1"] if self.endpoint else [])

    @contextmanager
    def shown(self) -> Iterator[str]:
        """Yield the address where a visitor reads the site."""
        if self.read:
            yield self.read
        elif self.is_branch:
            remote, _, branch = self.target.removeprefix("git+").partition("#")
            with tempfile.TemporaryDirectory() as folder:
                clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", branch or "gh-pages"]
                told([*clone, f"file://{remote}", folder])
                with serving(Path(folder)) as url:
                    yield url
        else:
            with serving(Path(self.target)) as url:
                yield url

    def visit(self, step: str, site: Path) -> tuple[dict[str, int], dict[str, str]]:
        """Crawl and compare with a site; return counts, and what tells of each file when it was written."""
        files = contents(site)
        with self.shown() as url:
            visitor = Visitor(url)
            broken = visitor.crawl()
            n_found = len(visitor.answers)
            visitor.fetch(files)
        answers = visitor.answers
        differ = [key for key, data in files.items() if answers[key].data != data]
        faults = broken + differ + sorted(answers.keys() - files.keys())
        if self.read:
            faults += type_faults(answers) + cache_faults(answers)
        self.faults[step] = faults
        counts = {
            "files": len(files),
            "found_by_links": n_found,
            "links": sum(len(visitor.links(key)) for key in answers),
            "bytes": sum(map(len, files.values())),
            "faults": len(faults),
        }
        return counts, {key: self.written(key, answers[key].headers) for key in files}

    def written(self, key: str, headers: Mapping[str, str]) -> str:
        """Return what changes when a file is written."""
        if self.is_branch:
            return ""
        if not self.read:
            return str(os.stat(Path(self.target) / key).st_mtime_ns)
        return headers["last-modified"]


def told(command: list[str]) -> str:
    """Run a command; return what it prints, end where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[:4]}: {done.stdout}{done.stderr}"[-2000:])
    return done.stdout


def proven(host: Host, site: Path, changed: Path) -> dict[str, object]:
    """Publish three times, look after each; return what was found."""
    old, new = contents(site), contents(changed)
    differ = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    first = host.publish(site)
    counts, written = host.visit("first", site)
    time.sleep(SECOND)
    second = host.publish(site)
    _, again = host.visit("second", site)
    time.sleep(SECOND)
    third = host.publish(changed)
    _, last = host.visit("changed", changed)
    exactly = [key for key in new if last[key] != again.get(key)]
    if host.is_branch:  # A file that is the same is the same object.
        exactly = differ
    return counts | {
        "sent": _n_sent(first),
        "sent_again": _n_sent(second),
        "written_again": sum(again[key] != written[key] for key in again),
        "sent_of_one_neuron": _n_sent(third),
        "written_of_one_neuron": len(exactly),
        "differ": differ,
        "exactly_these": sorted(exactly) == differ == _named(differ, new),
    }


def _named(artefact_keys: list[str], new: Mapping[str, bytes]) -> list[str]:
    """Return the keys that a site has; none may be gone in a change."""
    return [key for key in artefact_keys if key in new]


def _n_sent(text: str) -> int:
    """Return how many files a publish says it sent."""
    found = re.search(r"published: ([\d,]+) files", text)
    return int(found[1].replace(",", "")) if found else 0


def other(program: str, site: Path, target: str, endpoint: str | None) -> list[str]:
    """Return the command by which another program makes a target the same as a folder."""
    place = re.sub(r"^(s3|gs)://", "", target)
    if program == "aws":
        return ["aws", "s3", "sync", f"{site}/", f"s3://{place}", "--delete", "--endpoint-url", f"{endpoint}"]
    remote = f":s3,provider=Other,env_auth=true,endpoint='{endpoint}':{place}" if endpoint else target
    return ["rclone", "sync", *("--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE)), str(site), remote]


def timed(host: Host, site: Path, changed: Path, programs: list[str], rounds: int) -> dict[str, object]:
    """Return each program's seconds for all files, none, and one neuron's, in turns; medians of rounds."""
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        turn = [*programs[number % len(programs) :], *programs[: number % len(programs)]]
        for step, folder in (("all", site), ("none", site), ("one_neuron", changed)):
            for program in turn:
                target = _own(host.target, f"{program}{number}")
                ours = host.command(folder, target)
                command = ours if program == "publish" else other(program, folder, target, host.endpoint)
                start = time.monotonic()
                told(command)
                took = time.monotonic() - start
                seconds.setdefault(program, {}).setdefault(step, []).append(round(took, 2))
    return {
        program: {step: [statistics.median(times), times] for step, times in steps.items()}
        for program, steps in seconds.items()
    }


def _own(target: str, name: str) -> str:
    """Return a target beside another."""
    return f"{target}-{name}"


def main() -> None:
    """Read the arguments; make a change, or measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("change")
    making.add_argument("store", type=Path)
    making.add_argument("--neuron", default="mixed3b_379")
    to = commands.add_parser("to")
    to.add_argument("target")
    for command in (making, to):
        command.add_argument("site", type=Path)
        command.add_argument("changed", type=Path)
    to.add_argument("--endpoint")
    to.add_argument("--credentials", help="a key's file, where the environment does not tell it")
    to.add_argument("--read", help="where a visitor reads the target; default: shown from here")
    to.add_argument("--against", default="", help="of rclone, aws; only times are told then")
    to.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.command == "change":
        change(given.store, given.site, given.changed, given.neuron)
        return
    host = Host(given.target, given.endpoint, given.read, given.credentials)
    if given.against:
        programs = ["publish", *given.against.split(",")]
        figures = timed(host, given.site, given.changed, programs, given.rounds)
        print(json.dumps({"target": given.target, "seconds": figures}))
        return
    figures = proven(host, given.site, given.changed)
    faults = [fault for found in host.faults.values() for fault in found]
    print(json.dumps({"target": given.target, **figures, "first_faults": faults[:5]}))
    fine = figures["exactly_these"] and not (faults or figures["sent_again"] or figures["written_again"])
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
