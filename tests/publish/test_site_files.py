"""What is published of a folder: its plain files, hashed anew where the site's status cannot tell."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from atlas.core.errors import PublishError
from atlas.publish.site_files import SiteFiles
from atlas.site.folder import status
from atlas.site.html.html_scan import scan_html
from sites import site_contents


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_status(site: Path, files: dict[str, bytes], **wrong: str) -> None:
    """Write the status that a render leaves, with wrong hashes of some files."""
    states = {key: (wrong.get(key.replace(".", "_"), sha256(data)), len(data)) for key, data in files.items()}
    (site / status.NAME).write_bytes(status.encode_status(status.SiteStatus(files=states)))
    after = max(path.stat().st_ctime_ns for path in site.rglob("*")) + 10**9
    os.utime(site / status.NAME, ns=(after, after))


class TestFiles:
    def test_all_but_hidden_files(self, site: Path) -> None:
        """Each with its size, hash and headers; a 404 page beside them."""
        (site / ".htaccess").write_bytes(b"x")
        (site / ".git").mkdir()
        (site / ".git" / "config").write_bytes(b"x")
        expected = site_contents()
        found = SiteFiles(site)
        assert found.files.keys() == expected.keys() | {"404.html"}
        for key, data in expected.items():
            assert (found.files[key].size, found.files[key].entry.sha256) == (len(data), sha256(data))
            assert found.content(key) == data
        assert found.files["404.html"].entry.sha256 == sha256(found.content("404.html"))

    def test_what_the_status_tells_is_not_read(self, site: Path) -> None:
        """A file of the recorded size, older than the status, has the recorded hash."""
        write_status(site, site_contents(), index_html="00" * 32)
        assert SiteFiles(site).files["index.html"].entry.sha256 == "00" * 32

    @pytest.mark.parametrize("edit", ["size", "time"])
    def test_a_changed_file_is_read(self, site: Path, edit: str) -> None:
        """The status is not believed where size or time differ."""
        write_status(site, site_contents(), index_html="00" * 32)
        page = site / "index.html"
        if edit == "size":
            page.write_bytes(page.read_bytes() + b" ")
            os.utime(page, ns=(1, 1))
        else:
            after = (site / status.NAME).stat().st_mtime_ns + 1
            os.utime(page, ns=(after, after))
        assert SiteFiles(site).files["index.html"].entry.sha256 == sha256(page.read_bytes())

    def test_a_file_that_changes_meanwhile_is_told(self, site: Path) -> None:
        """Bytes that were not planned are never sent under the planned hash."""
        found = SiteFiles(site)
        (site / "mixed3b_0.html").write_bytes(b"rendered anew")
        with pytest.raises(PublishError, match=r"mixed3b_0\.html changed while"):
            found.content("mixed3b_0.html")

    @pytest.mark.parametrize("folder", [False, True])
    def test_links_are_refused(self, site: Path, tmp_path: Path, folder: bool) -> None:
        """A link could lead to any file of the machine."""
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "key.txt").write_bytes(b"x")
        where = tmp_path / "secret" if folder else tmp_path / "secret" / "key.txt"
        (site / "data" / "link.txt").symlink_to(where)
        with pytest.raises(PublishError, match="is a link"):
            SiteFiles(site)

    @pytest.mark.parametrize(
        "name", ["a b.html", "ä.html", "a\nb.html", "x\\y.html", "-%2e.html", "a#b.html"]
    )
    def test_odd_names_are_refused(self, site: Path, name: str) -> None:
        """An address that servers read in two ways is told before anything is sent."""
        (site / name).write_bytes(b"x")
        with pytest.raises(PublishError, match="cannot publish"):
            SiteFiles(site)

    def test_pictures_and_pages_are_two_parts(self, site: Path) -> None:
        """Together they are the whole; the 404 page is among the pages."""
        (site / "images" / "neuron").mkdir(parents=True, exist_ok=True)
        (site / "images" / "neuron" / "a_0.jpg").write_bytes(b"x")
        images, pages, whole = (SiteFiles(site, part).files for part in ("images", "pages", "all"))
        assert all(key.startswith("images/") for key in images)
        assert not any(key.startswith("images/") for key in pages)
        assert "images/neuron/a_0.jpg" in images
        assert {**images, **pages} == whole

    def test_no_site(self, tmp_path: Path) -> None:
        """A folder without a home page is none."""
        with pytest.raises(PublishError, match="there is no site"):
            SiteFiles(tmp_path)


class TestNotFound:
    def test_it_is_whole(self, site: Path) -> None:
        """The 404 page is faultless, runs no script, and leads home."""
        text = SiteFiles(site).content("404.html").decode()
        scan = scan_html(text)
        assert scan.faults == []
        assert {target for target, _ in scan.links} == {"index.html"}
        assert "default-src 'none'" in text

    def test_the_sites_own_wins(self, site: Path) -> None:
        """Where the folder has such a page it is the one that is published."""
        (site / "404.html").write_bytes(b"own")
        assert SiteFiles(site).content("404.html") == b"own"
