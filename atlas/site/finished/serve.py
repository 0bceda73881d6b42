"""A local preview: the site folder over http, to this machine only."""

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
        """Say nothing: a page of a hundred icons would write a hundred lines."""

    def send_head(self) -> Any:
        """Open what is asked for; what is no file of the site is not there."""
        if not self._is_shown():
            self.send_error(404)
            return None
        return super().send_head()

    def _is_shown(self) -> bool:
        """Return whether an address leads to a file of the site: no way out, no hidden file, no list."""
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
        """Send a file; a browser that has left the page meanwhile is no error."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def end_headers(self) -> None:
        """Have the browser ask again: a page may be rendered anew while it is looked at."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def site_server(site: Path, *, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a site on this machine, not yet serving; port 0 takes a free one.

    Raises SiteError when there is no site or the port is taken.
    """
    if not (site / "index.html").is_file():
        raise SiteError(f"there is no site in {site}", remedy="run `render` or `build` first")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Quiet, directory=str(site)))
    except OSError as error:
        raise SiteError(f"cannot serve on port {port}: {reason_of(error)}", remedy="try another") from error


def serve_site(site: Path, *, port: int) -> None:
    """Serve a site on this machine until interrupted; errors as of `site_server`."""
    with site_server(site, port=port) as server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
