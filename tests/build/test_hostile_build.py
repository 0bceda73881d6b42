"""A build of hostile names: everything stays text, and nothing is written outside of store and site."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from atlas.cli import commands
from atlas.site.folder.status import is_safe
from atlas.site.html.html_scan import scan_html
from sites import foreign_scripts

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../../../escaped",
    "/etc/escaped",
    "..\\escaped",
    "\u202egnp.exe\u2066",
    "two\nlines\r\nHTTP/1.1 200",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "]]></style></title><svg onload=alert(1)>",
    "con",
    "a" * 300,
)
TITLE = HOSTILE[0] + HOSTILE[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands.main, arguments)


@pytest.fixture
def work(toy_graph: Path, toy_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a folder, with the toy network, labels and examples that are named by an enemy."""
    work = tmp_path / "work"
    (work / "images/<b>").mkdir(parents=True)
    monkeypatch.chdir(work)
    shutil.copy(toy_graph, work / "net.pb")
    shutil.copytree(toy_store, work / "out/store", ignore=shutil.ignore_patterns("lock*"))
    flat = [text.replace("\n", " ").replace("\r", " ") for text in HOSTILE]
    (work / "labels.txt").write_text("\n".join(flat[:7]))
    for at, name in enumerate(
        ("<script>alert(2)</script>".replace("/", "-"), "<b>/x' onload='alert(3)", "..a\u202e")
    ):
        Image.new("RGB", (24, 20), (40 * at, 90, 200)).save(work / "images" / f"{name}.png")
    families = "".join(
        f"[[family]]\nname = {json.dumps(f'{at} {name}')}\nlayer = 'second'\nneurons = [{at % 5}]\n"
        f"note = {json.dumps(HOSTILE[-1 - at])}\n"
        for at, name in enumerate(HOSTILE)
    )
    (work / "atlas.toml").write_text(
        f"title = {json.dumps(TITLE)}\n[directions]\npositions = 'none'\nfactors = 'none'\n{families}"
    )
    return work


def test_names_stay_names(work: Path, tmp_path: Path) -> None:
    """Titles, families, notes, labels and files: no tag, no script, no file elsewhere, no fault in a page."""
    before = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    folders = ("--store", "out/store", "--site", "out/site")
    told = ("--model", "net.pb", "--value-range", "0,1", "--preset", "draft", "--labels", "labels.txt")
    result = run("build", "atlas.toml", *told, *folders, "--examples", "images", "--archive")
    assert result.exit_code == 0, result.output
    after = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")} - before
    outside = [
        p for p in after if not p.is_relative_to("work/out/store") and not p.is_relative_to("work/out/site")
    ]
    assert outside == [Path("work/out/site.zip")]
    site = work / "out/site"
    addresses = [p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()]
    assert [a for a in addresses if not is_safe(a) and a.rpartition("/")[2][0] != "."] == []
    assert run("check", "out/site").exit_code == 0
    with zipfile.ZipFile(work / "out/site.zip") as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"script-alert-1-script-escaped"}
    assert [name for name in names if ".." in name or "\\" in name or name.startswith("/")] == []


def test_pages_hold_no_tag_of_theirs(work: Path) -> None:
    """What a name holds of HTML is shown as it is written, on every page and in every attribute."""
    folders = ("--store", "out/store", "--site", "out/site")
    told = ("--model", "net.pb", "--value-range", "0,1", "--preset", "draft", "--labels", "labels.txt")
    assert run("build", "atlas.toml", *told, *folders, "--examples", "images").exit_code == 0
    pages = {p.name: p.read_text() for p in (work / "out/site").rglob("*.html")}
    for name, text in pages.items():
        text = text.replace('src="../static', 'src="static')
        assert foreign_scripts(text) == [], name
        assert scan_html(text).faults == [], name
    assert "&lt;script&gt;alert(1)" in pages["index.html"]
    assert "{{ 7 * 7 }}" in pages["families.html"]
