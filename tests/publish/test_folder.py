"""A local folder receives a site; nothing outside of it is ever touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from atlas.core.errors import PublishError
from atlas.publish.manifest import MANIFEST, encode
from publishing import Publisher, expected, planned
from sites import site_contents, write_site
from trees import visible_tree


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the site goes; not there yet."""
    return tmp_path / "www" / "atlas"


def test_all_of_it_arrives(site: Path, out: Path) -> None:
    """Every file, the manifest, and nothing half written; the second time nothing is written."""
    to = Publisher(str(out))
    to(site)
    assert visible_tree(out) == expected(site)
    assert {p.name for p in (out / ".atlas-publish").iterdir()} == {"manifest.json"}
    assert not list(out.rglob("*.aside"))
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert to(site).plan.nothing_to_do
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_a_change_and_a_removal(site: Path, out: Path) -> None:
    """Exactly what changed is written; what is stale goes, with its empty folders, and others' files stay."""
    to = Publisher(str(out))
    to(site)
    (out / "mine.txt").write_bytes(b"mine")
    (out / ".htaccess").write_bytes(b"mine too")
    shutil.rmtree(site / "images")
    (site / "index.html").write_bytes(b"other")
    assert planned(to(site)) == (0, 1, len(expected(site)) - 1, 6)
    assert visible_tree(out) == expected(site) | {"mine.txt": b"mine"}
    assert (out / ".htaccess").exists()
    assert not (out / "images").exists()


def test_a_touched_file_of_another_size_is_written_again(site: Path, out: Path) -> None:
    """What somebody edited in the target, or lost, comes back."""
    to = Publisher(str(out))
    to(site)
    (out / "index.html").write_bytes(b"edited")
    (out / "mixed3b_1.html").unlink()
    assert planned(to(site))[:2] == (1, 1)
    assert visible_tree(out) == expected(site)


@pytest.mark.parametrize("where", ["", "data/inner", ".."])
def test_site_and_target_in_each_other(site: Path, where: str) -> None:
    """A site is not published into itself, nor over what holds it."""
    with pytest.raises(PublishError, match="lie in each other"):
        Publisher(str(site / where))(site)


def test_a_file_is_no_folder(site: Path, tmp_path: Path) -> None:
    """It is told before anything is written."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(PublishError, match="found a file, expected a folder"):
        Publisher(str(tmp_path / "file"))(site)


def test_a_link_in_the_target_is_not_followed(site: Path, out: Path, tmp_path: Path) -> None:
    """A folder that is a link would lead writes and deletions elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    out.mkdir(parents=True)
    (out / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError, match="is a link that leads out"):
        Publisher(str(out))(site)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("key", ["../mine.txt", "data/../../mine.txt", ".ssh/id"])
def test_a_hostile_manifest_deletes_nothing(site: Path, out: Path, key: str) -> None:
    """One that names files elsewhere, or hidden ones, is refused."""
    Publisher(str(out))(site)
    mine = out / key
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_bytes(b"mine")
    (out / MANIFEST).write_bytes(encode("", {}).replace(b'"files":{}', f'"files":{{"{key}":null}}'.encode()))
    with pytest.raises(PublishError, match="addresses of a site"):
        Publisher(str(out))(site)
    assert mine.read_bytes() == b"mine"


def test_a_folder_in_a_files_place_is_told(site: Path, out: Path) -> None:
    """An operating system's refusal comes in words."""
    (out / "index.html").mkdir(parents=True)
    with pytest.raises(PublishError, match="cannot publish to"):
        Publisher(str(out))(site)


def test_another_edition_in_the_same_folder(site: Path, out: Path) -> None:
    """From edition to edition the folder is the site."""
    to = Publisher(str(out))
    for edition in (1, 2, 3):
        shutil.rmtree(site)
        write_site(site, site_contents(4 + edition, edition=edition))
        to(site)
        assert visible_tree(out) == expected(site)
