"""A site in one zip file: whole, the same each time, and nothing else in it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from atlas.core.errors import SiteError
from atlas.site import check_site, render_site
from atlas.site.finished import archive
from atlas.site.finished.archive import archive_path, write_archive
from atlas.site.folder import site_folder, status
from atlas.site.writing import writing
from atlas.store import Store
from trees import tree

FOLDER = "a-made-up-atlas"


@pytest.fixture
def site(rendered: Path, tmp_path: Path) -> Path:
    """A site that the test may change."""
    return Path(shutil.copytree(rendered, tmp_path / "site"))


def unpacked(path: Path, folder: Path) -> Path:
    """Unpack an archive and return the site in it."""
    with zipfile.ZipFile(path) as members:
        members.extractall(folder)
    return folder / FOLDER


def test_unpacked_it_is_the_site(site: Path, tmp_path: Path) -> None:
    """Every file of the site, byte by byte, in one folder; the checksums and the check are content."""
    done = write_archive(site)
    assert done.path == tmp_path / "site.zip"
    copy = unpacked(done.path, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == [FOLDER]
    whole = tree(site)
    del whole[status.NAME]
    assert tree(copy) == whole
    assert (done.n_files, done.n_bytes) == (len(whole), done.path.stat().st_size)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "data/checksums.txt"], cwd=copy, check=True
    )
    assert check_site(copy) == ()


def test_unzip_makes_readable_files(site: Path, tmp_path: Path) -> None:
    """Info-ZIP gives every file the mode that is told, which everybody may read."""
    if shutil.which("unzip") is None:
        pytest.skip("no unzip")
    write_archive(site)
    subprocess.run(["unzip", "-q", "site.zip", "-d", "out"], cwd=tmp_path, check=True)
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert modes == {0o644}


def test_two_archives_are_byte_identical(store: Store, tmp_path: Path) -> None:
    """Neither the folder's name, nor a clock, nor the order of writing shows."""
    render_site(store, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "deeper" / "b", copy_function=shutil.copyfile)
    first, second = write_archive(tmp_path / "a"), write_archive(tmp_path / "deeper" / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    with zipfile.ZipFile(first.path) as members:
        infos = members.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {(info.date_time, info.create_system) for info in infos} == {((1980, 1, 1, 0, 0, 0), 3)}
    kinds = {Path(info.filename).suffix: info.compress_type for info in infos}
    assert kinds[".jpg"] == kinds[".npz"] == zipfile.ZIP_STORED
    assert kinds[".html"] == kinds[".json"] == zipfile.ZIP_DEFLATED


def test_large_archives_are_zip64(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the plain format's limits, which are made small here, it is still a zip file and whole."""
    plain = write_archive(site).n_bytes
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 50)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5000)
    assert write_archive(site).n_bytes > plain
    monkeypatch.undo()
    copy = tree(unpacked(archive_path(site), tmp_path / "out"))
    assert copy == {name: data for name, data in tree(site).items() if name != status.NAME}


def test_what_no_render_wrote_stays_out(site: Path) -> None:
    """A user's notes beside the pages are not given away."""
    (site / "notes.txt").write_text("mine")
    (site / "data/.hidden").write_text("mine")
    with zipfile.ZipFile(write_archive(site).path) as members:
        names = {name.removeprefix(f"{FOLDER}/") for name in members.namelist()}
    assert names == status.load_status(site).files.keys()
    assert not {"notes.txt", "data/.hidden", status.NAME} & names


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("mixed3b_1.html", lambda path: path.write_text("mine now"), "mixed3b_1.html.*other bytes"),
        ("data/atlas.json", lambda path: path.write_text("{"), "atlas.json.*other bytes"),
        ("images/neuron/mixed3b_1.jpg", Path.unlink, "images/neuron/mixed3b_1.jpg.*nothing"),
        (status.NAME, Path.unlink, "cannot be archived"),
        ("index.html", Path.unlink, "there is no site"),
    ],
)
def test_a_site_that_is_not_whole(
    site: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    """A file that is not what was written is named; the former archive stays, and no half one."""
    before = write_archive(site).path.read_bytes()
    damage(site / name)
    with pytest.raises(SiteError, match=message):
        write_archive(site)
    assert archive_path(site).read_bytes() == before
    assert sorted(p.name for p in site.parent.iterdir()) == ["site", "site.zip"]


def test_a_render_that_was_killed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site without its lists is no whole one."""

    def killed(self: writing.Writing) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.Writing, "_write_lists", killed)
    with pytest.raises(KeyboardInterrupt):
        render_site(store, tmp_path / "site")
    with pytest.raises(SiteError, match="a site whose render has ended"):
        write_archive(tmp_path / "site")


def test_somebody_s_file_is_not_replaced(site: Path) -> None:
    """What is no zip file stays."""
    archive_path(site).write_text("mine")
    with pytest.raises(SiteError, match="no zip file"):
        write_archive(site)
    assert archive_path(site).read_text() == "mine"


def test_not_while_it_is_written(site: Path) -> None:
    """A render and an archive of one site at once spoil nothing."""
    with site_folder.locked(site), pytest.raises(SiteError, match="by another process"):
        write_archive(site)


def test_a_full_disk(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system says is told in words, and nothing is left behind."""

    def full(*arguments: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive, "_copy", full)
    with pytest.raises(SiteError, match="the disk is full"):
        write_archive(site)
    assert [p.name for p in site.parent.iterdir()] == ["site"]


def test_progress_counts_up_to_the_end(site: Path) -> None:
    """Progress is told for every file."""
    told: list[tuple[int, int]] = []
    done = write_archive(site, progress=lambda at, total: told.append((at, total)))
    assert told == [(at + 1, done.n_files) for at in range(done.n_files)]


def test_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the site under its name, also when the site is the folder that one is in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert archive_path(Path("out/site")) == Path("out/site.zip")
    assert archive_path(Path("v1.2")) == Path("v1.2.zip")
    assert archive_path(Path(".")) == tmp_path / "here.zip"


def test_memory_stays_flat(tmp_path: Path) -> None:
    """A file of 64 MB passes through a few pieces of one."""
    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as members:
        info = zipfile.ZipInfo("big.jpg")
        info.file_size = 64 << 20
        archive._copy(big, members, info)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
