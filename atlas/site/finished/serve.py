"""A local preview: serve the site folder over HTTP, on this machine only."""

from __future__ import annotations

import contextlib
import functools
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from atlas.core.errors import SiteError, reason_of
from atlas.site.urls import HOME


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing, because a page with a hundred icons would log a hundred lines."""

    def send_head(self) -> Any:
        """Open the requested file; answer 404 if it is not a file of the site."""
        if not self._is_shown():
            self.send_error(404)
            return None
        return super().send_head()

    def _is_shown(self) -> bool:
        """Return whether the address is a file of the site: inside it, not hidden, no list of a folder."""
        try:
            path = self.translate_path(self.path)
            if os.path.isdir(path):
                path = os.path.join(path, HOME)
            real = os.path.realpath(path)
        except ValueError:  # A zero byte.
            return False
        site = os.path.realpath(self.directory)
        inside = os.path.commonpath([site, real]) == site
        hidden = any(part.startswith(".") for part in os.path.relpath(path, self.directory).split(os.sep))
        return inside and not hidden and os.path.isfile(real)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file; it is no error if the browser has closed the connection."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def end_headers(self) -> None:
        """Forbid the browser to cache, because a page may be rendered again while it is open."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def site_server(site: Path, *, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a site on this machine, not yet serving; port 0 chooses a free port.

    Raises SiteError when there is no site or the port is taken.
    """
    if not (site / "index.html").is_file():
        raise SiteError(f"there is no site in {site}", remedy="run `render` or `build` first")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Quiet, directory=str(site)))
    except OSError as error:
        raise SiteError(f"cannot serve on port {port}: {reason_of(error)}", remedy="try another") from error


def serve_site(site: Path, *, port: int) -> None:
    """Serve a site on this machine until Ctrl-C. Raises the errors of `site_server`."""
    with site_server(site, port=port) as server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
