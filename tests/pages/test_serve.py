"""The local preview shows the site, and nothing else of the machine."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from atlas.errors import SiteError
from atlas.pages.serve import site_server


def test_pages_are_served(rendered: Path) -> None:
    """The home page is under the folder's root, and a way up leads nowhere."""
    server = site_server(rendered)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{address}/") as answer:
            assert answer.read() == (rendered / "index.html").read_bytes()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address}/../store/index.jsonl")
        caught.value.close()
        assert caught.value.code == 404
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_site_and_a_taken_port(rendered: Path, tmp_path: Path) -> None:
    """Both are told in words."""
    with pytest.raises(SiteError, match="there is no site"):
        site_server(tmp_path)
    with site_server(rendered) as server, pytest.raises(SiteError, match="cannot serve on port"):
        site_server(rendered, port=server.server_port)
