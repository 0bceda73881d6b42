"""Lighthouse's four scores: `python tests/benchmarks/lighthouse.py SITE mixed3b_379.html mixed3b.html`.

Serves a site's folder on this machine, with --gzip compressed as most hosts send it, and runs
the `lighthouse` on PATH (npm install lighthouse) on each page, as the telephone that it simulates and, with
--desktop, as a desk. One JSON line a page: the scores of 0 to 100, what fails, and the times in milliseconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browsing import Plain, serving

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
TIMES = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "interactive")


class Gzipped(Plain):
    """Answers with texts compressed."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        """Send a file."""
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(path)
        if not path.is_file() or not kind.startswith(("text/", "application/", "image/svg")):
            super().do_GET()
            return
        data = gzip.compress(path.read_bytes())
        self.send_response(200)
        for name, value in (("Type", kind), ("Encoding", "gzip"), ("Length", str(len(data)))):
            self.send_header(f"Content-{name}", value)
        self.end_headers()
        self.wfile.write(data)


def audit(address: str, *, desktop: bool, chrome: str) -> dict[str, Any]:
    """Return Lighthouse's report of a page."""
    program = shutil.which("lighthouse")
    if program is None:
        raise SystemExit("no lighthouse on PATH; npm install lighthouse, and put node_modules/.bin there")
    command = [program, address, "--quiet", "--output=json", "--output-path=stdout"]
    command += [f"--only-categories={','.join(CATEGORIES)}"]
    command += ["--chrome-flags=--headless=new --no-sandbox --disable-gpu"]
    command += ["--preset=desktop"] if desktop else []
    environment = {**os.environ, "CHROME_PATH": chrome}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def summary(report: dict[str, Any]) -> dict[str, object]:
    """Return the scores of a report, what is not perfect, and times."""
    audits = report["audits"]
    scores = {name: round(100 * (report["categories"][name]["score"] or 0)) for name in CATEGORIES}
    weighed = {
        reference["id"]
        for category in report["categories"].values()
        for reference in category["auditRefs"]
        if reference["weight"]
    }
    low = sorted(name for name in weighed if (audits[name]["score"] or 1) < 0.9)
    failed = sorted(name for name in weighed if audits[name]["score"] == 0)
    times = {name: round(audits[name]["numericValue"]) for name in TIMES if "numericValue" in audits[name]}
    shift = round(audits["cumulative-layout-shift"]["numericValue"], 4)
    return {**scores, "low": low, "failed": failed, **times, "layout_shift": shift}


def main() -> None:
    """Audit each page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("pages", nargs="+")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--desktop", action="store_true")
    parser.add_argument("--chrome", default="/usr/bin/chromium")
    given = parser.parse_args()
    with serving(given.site, handler=Gzipped if given.gzip else Plain) as root:
        for page in given.pages:
            report = audit(f"{root}/{page}", desktop=given.desktop, chrome=given.chrome)
            form = "desktop" if given.desktop else "mobile"
            print(json.dumps({"page": page, "form": form, "gzip": given.gzip, **summary(report)}), flush=True)


if __name__ == "__main__":
    main()
