"""Pages a second against Hugo's: `python tests/benchmarks/render_hugo.py` prints one JSON line.

Hugo (Debian's package) is given what our templates are given, texts and data URIs and all, as front matter,
and writes the same three text files a neuron: page, page for an iframe, JSON. What it cannot make, it gets
ready-made: the kernels' pictures, the drawings, and as static files the arrays and pictures. Its templates
are in hugo/: a neuron's page like ours. Both write to the same folder of memory in turns; the least of
three counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "benchmarks")]

from benchmarks.render import MEMORY, specs

from atlas.site import render_site
from atlas.site.html.render import TemplateRenderer
from atlas.site.neuron.embed import EmbedPage
from atlas.site.neuron.page import NeuronPage
from atlas.store import Store
from synthetic import fill_store

LAYOUTS = Path(__file__).with_name("hugo")
ROUNDS = 3


class Capture(TemplateRenderer):
    """A renderer that keeps what its templates are given."""

    neurons: ClassVar[dict[str, NeuronPage]] = {}
    embeds: ClassVar[dict[str, EmbedPage]] = {}
    shown: ClassVar[dict[str, Any]] = {}

    def page(self, kind: str, page: object) -> bytes:
        """Keep a neuron's page, and its page for an iframe."""
        if isinstance(page, NeuronPage):
            self.neurons[_slug(page)] = page
            Capture.shown = named(self.chrome)
        elif isinstance(page, EmbedPage):
            self.embeds[_slug(page.page)] = page
        return super().page(kind, page)


def _slug(page: NeuronPage) -> str:
    return page.href.removesuffix(".html")


def named(value: Any) -> Any:
    """Return a context as objects, lists and texts, its fields by name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: named(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: named(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(key): named(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [named(part) for part in value]
    return str(value) if isinstance(value, str) else value


def hand_over(site: Path, hugo: Path) -> None:
    """Write what was captured, and a site's static files, as a Hugo project."""
    shutil.copytree(LAYOUTS, hugo)
    content = hugo / "content"
    content.mkdir()
    for slug, page in Capture.neurons.items():
        embed = Capture.embeds[slug]
        shown = named(dataclasses.replace(page, circuit=None))
        if page.circuit:
            shown["circuit"] = {"svg": str(page.circuit.svg), "rule": page.circuit.rule}
        front = {
            "neuron": shown,
            "embed": {"lists": [{"title": title, "list": named(items)} for title, items in embed.lists]},
            "twin": json.loads((site / "data" / f"{slug}.json").read_bytes()),
        }
        (content / f"{slug}.md").write_text(json.dumps(front, ensure_ascii=False) + "\n", encoding="utf-8")
    chrome = dict(Capture.shown)
    names = {"icon": "icon.svg", "style": "atlas.css", "look": "look.js", "atlas": "atlas.js"}
    chrome["assets"] = {short: chrome["assets"][name] for short, name in names.items()}
    (hugo / "data").mkdir()
    (hugo / "data" / "chrome.json").write_text(json.dumps(chrome), encoding="utf-8")
    static = hugo / "static"
    for folder in ("images", "assets"):
        if (site / folder).is_dir():
            shutil.copytree(site / folder, static / folder)
    (static / "data").mkdir(parents=True)
    for path in (site / "data").glob("*.npz"):
        shutil.copyfile(path, static / "data" / path.name)


def capture(store: Store, site: Path) -> None:
    """Render once in this process, keeping all contexts."""
    from atlas.site.writing import writing

    kept, writing.TemplateRenderer = writing.TemplateRenderer, Capture  # type: ignore[attr-defined]
    try:
        render_site(store, site, jobs=1)
    finally:
        writing.TemplateRenderer = kept  # type: ignore[attr-defined]


def timed(work: Callable[[], object], target: Path) -> float:
    """Return the seconds of one run into a folder that is not there."""
    shutil.rmtree(target, ignore_errors=True)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(folder: Path, n: int) -> dict[str, float]:
    """Return the pages a second of both, and the bytes of their pages."""
    fill_store(folder / "store", specs(n), px=60)
    ours, theirs = folder / "ours", folder / "theirs"
    command = ["hugo", "--quiet", "--source", str(folder / "hugo"), "--destination", str(theirs)]
    with Store.open(folder / "store") as store:
        capture(store, folder / "site")
        hand_over(folder / "site", folder / "hugo")
        times = [
            (
                timed(lambda: render_site(store, ours), ours),
                timed(lambda: subprocess.run(command, check=True), theirs),
            )
            for _ in range(ROUNDS)
        ]
    slugs = list(Capture.neurons)
    seconds = [min(column) for column in zip(*times, strict=True)]
    bytes_of = [
        sum((site / f"{slug}.html").stat().st_size for slug in slugs) / len(slugs) for site in (ours, theirs)
    ]
    return {
        "neuron_pages": len(slugs),
        "neuron_pages_per_second": round(len(slugs) / seconds[0], 1),
        "hugo_pages_per_second": round(len(slugs) / seconds[1], 1),
        "hugo_over_ours": round(seconds[0] / seconds[1], 2),
        "page_bytes": round(bytes_of[0]),
        "hugo_page_bytes": round(bytes_of[1]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--neurons", type=int, default=1200)
    arguments = parser.parse_args()
    if not shutil.which("hugo"):
        sys.exit("no hugo: apt-get install hugo")
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
        print(json.dumps(measure(Path(scratch), arguments.neurons)))
