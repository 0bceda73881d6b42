"""The status file is believed only as far as it can be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atlas.site import render_site
from atlas.site.folder import status
from atlas.site.folder.status import SiteStatus, encode_status, load_status
from atlas.store import Store


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read back, whatever the order it was put in."""
    one = SiteStatus(
        shared="a", pages={"b": "1", "a": "2"}, files={"x/y.jpg": ("00", 3), "a.html": ("11", 4)}
    )
    (tmp_path / status.NAME).write_bytes(encode_status(one))
    assert load_status(tmp_path) == one


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "files": {"a": 3}}'])
def test_nonsense_is_no_status(tmp_path: Path, content: bytes) -> None:
    """A damaged status file means that all is stale."""
    (tmp_path / status.NAME).write_bytes(content)
    assert load_status(tmp_path) == SiteStatus()


@pytest.mark.parametrize(
    "path", ["../mine.txt", "/etc/hostname", "a/../../mine.txt", "a//b", ".hidden", "a\\b", ""]
)
def test_paths_out_of_the_site_are_never_touched(tmp_path: Path, path: str) -> None:
    """A status file that names files elsewhere has no power over them."""
    (tmp_path / status.NAME).write_bytes(
        encode_status(SiteStatus(files={path: ("00", 1), "ok.html": ("00", 1)}))
    )
    assert list(load_status(tmp_path).files) == ["ok.html"]


def test_a_hostile_status_removes_nothing_outside(store: Store, tmp_path: Path) -> None:
    """Even with the right hash and size, a file outside stays."""
    import hashlib

    site = tmp_path / "site"
    render_site(store, site)
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"mine")
    known = load_status(site)
    known.files["../mine.txt"] = (hashlib.sha256(b"mine").hexdigest(), 4)
    (site / status.NAME).write_bytes(encode_status(known))
    assert render_site(store, site).removed == ()
    assert mine.exists()


def test_a_restored_time_does_not_hide_a_change(tmp_path: Path) -> None:
    """A file of the same size whose time was set back is read, and found changed."""
    page = tmp_path / "a.html"
    page.write_bytes(b"old")
    files = {"a.html": ("cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4", 3)}
    (tmp_path / status.NAME).write_bytes(encode_status(SiteStatus(files=files)))
    before = page.stat()
    assert status.intact_files(tmp_path, files)[0] == {"a.html"}
    page.write_bytes(b"new")
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert status.intact_files(tmp_path, files)[0] == set()
