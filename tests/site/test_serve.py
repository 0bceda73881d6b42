"""The local preview shows the site, and nothing else of the machine."""

from __future__ import annotations

import http.client
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas.core.errors import SiteError
from atlas.site.finished.serve import site_server

OUTSIDE = b"a secret of this machine"


@pytest.fixture
def port(rendered: Path, tmp_path: Path) -> Iterator[int]:
    """The port of a server of a site, with a secret beside it, links to it, and hidden files in it."""
    site = tmp_path / "www" / "site"
    shutil.copytree(rendered, site)
    outside = tmp_path / "www" / "outside"
    outside.mkdir()
    for path in (outside / "key.txt", outside / "index.html", site / ".env", site / "images" / ".env"):
        path.write_bytes(OUTSIDE)
    (site / "link.txt").symlink_to(outside / "key.txt")
    (site / "folder").symlink_to(outside)
    (site / "data" / "index.html").symlink_to(outside / "index.html")
    server = site_server(site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def asked(port: int, address: str, method: str = "GET") -> tuple[int, bytes]:
    """Return status and body of an answer to a request that is sent as it stands."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, address, skip_host=True)
    connection.putheader("Host", "127.0.0.1")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_pages_are_served(rendered: Path, port: int) -> None:
    """The home page is under the folder's root, a picture at its address; a query does no harm."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read() == (rendered / "index.html").read_bytes()
    picture = next(rendered.glob("images/neuron/*.jpg"))
    assert asked(port, f"/images/neuron/{picture.name}?x=1#y") == (200, picture.read_bytes())


@pytest.mark.parametrize(
    "address",
    [
        "/../outside/key.txt",
        "/%2e%2e/outside/key.txt",
        "/..%2foutside/key.txt",
        "/%2e%2e%2foutside%2fkey.txt",
        "/images/../../outside/key.txt",
        "/..%5coutside%5ckey.txt",
        "/%252e%252e/outside/key.txt",
        "//outside/key.txt",
        "/....//outside/key.txt",
        "../outside/key.txt",
        "http://127.0.0.1/../outside/key.txt",
        "/link.txt",
        "/folder/key.txt",
        "/folder/",
        "/folder",
        "/data/",
        "/.env",
        "/images/.env",
        "/%2eenv",
        "/.atlas-site.json",
        "/images/",
        "/images",
        "/%00",
        "/index.html%00.txt",
        "/nothing.html",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_else_is_served(port: int, address: str, method: str) -> None:
    """No way up, however it is written, no link, no hidden file, no list of a folder."""
    status, body = asked(port, address, method)
    assert status == 404
    assert OUTSIDE not in body
    assert b"key.txt" not in body


def test_only_this_machine_is_answered(port: int) -> None:
    """The server listens on 127.0.0.1, and on no other address of the machine."""
    assert asked(port, "/")[0] == 200
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for other in {"127.0.0.2", *others} - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((str(other), port), timeout=2)


def test_no_site_and_a_taken_port(rendered: Path, tmp_path: Path) -> None:
    """Both are told in words."""
    with pytest.raises(SiteError, match="there is no site"):
        site_server(tmp_path)
    with site_server(rendered) as server, pytest.raises(SiteError, match="cannot serve on port"):
        site_server(rendered, port=server.server_port)
