"""The check finds each kind of fault, and names its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from atlas.core.errors import SiteError
from atlas.site import Problem, check_site
from atlas.site.finished import check
from atlas.site.html.html_scan import scan_html
from sites import write_site

GOOD = '<!doctype html><html lang="en"><head><title>a</title></head><body>{}</body></html>'


def site_with(folder: Path, body: str, **files: str) -> Path:
    """Write a site of one page and some files."""
    (folder / "index.html").write_text(GOOD.format(body))
    for name, text in files.items():
        (folder / f"{name}.html").write_text(GOOD.format(text))
    return folder


def messages(problems: tuple[Problem, ...]) -> list[str]:
    """Return what the problems say."""
    return [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('<a href="gone.html">x</a>', "the link gone.html leads nowhere"),
        ('<img src="gone.jpg" alt="">', "the link gone.jpg leads nowhere"),
        ('<a href="#gone">x</a>', "the link index.html#gone has no such id"),
        ('<a href="other.html#gone">x</a>', "the link other.html#gone has no such id"),
        ('<a href="../index.html">x</a>', "the link ../index.html leads out of the site"),
        ('<a href="/index.html">x</a>', "the link /index.html leads out of the site"),
        ('<a href="https://a.org/">x</a>', "the link https://a.org/ leads out of the site"),
        ('<link rel="icon" href="https://a.org/">', "the link https://a.org/ leads out of the site"),
        (
            '<link rel="canonical" href="https://a.org/b/gone.html">',
            "the canonical address https://a.org/b/gone.html is no page of this site",
        ),
        ('<link rel="canonical" href="gone.html">', "the link gone.html leads nowhere"),
        ('<meta http-equiv="refresh" content="0; url=gone.html">', "the link gone.html leads nowhere"),
        ('<img src="index.html">', "an <img> has no alt text"),
        ('<p id="a"></p><p id="a"></p>', "the id 'a' stands twice"),
        ("<p><b>x</p>", "<b> is not closed before </p>"),
        ("</i>", "</i> closes nothing"),
        ("see /home/ann/atlas", "'/home/' reveals a path of the machine that built the site"),
        (r"see C:\atlas", "'C:\\\\' reveals a path of the machine that built the site"),
    ],
)
def test_one_fault(tmp_path: Path, body: str, message: str) -> None:
    """A single fault gives a single problem that says what and where."""
    (problem,) = check_site(site_with(tmp_path, body, other='<p id="here"></p>'))
    assert problem.message == message
    assert problem.file == "index.html"
    assert str(problem).startswith("index.html:1: ")


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html#here">x</a><a href="#a" id="a">y</a><br><hr/>',
        '<img src="data:image/png;base64,aa/tmp/home/root/aa" alt="">',
        '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>',
        "<p>a &lt; b</p><style>a{}</style>",
        '<link rel="canonical" href="https://a.org/b/other.html">',
        '<link rel="canonical" href="https://a.org/b/">',
        '<link rel="canonical" href="other.html">',
        '<meta http-equiv="refresh" content="0; url=other.html#here">',
    ],
)
def test_no_fault(tmp_path: Path, body: str) -> None:
    """Good links, pictures inside the page and void tags are no problems."""
    assert check_site(site_with(tmp_path, body, other='<p id="here"></p>')) == ()


def test_pages_in_folders(tmp_path: Path) -> None:
    """A page's links are read from its own folder, and may not climb out of the site."""
    (tmp_path / "embed").mkdir()
    links = ("../index.html#here", "index.html", "../../index.html", "a.html", "../embed/a.html")
    body = "".join(f'<a href="{link}">x</a>' for link in links)
    (tmp_path / "embed/a.html").write_text(GOOD.format(body))
    assert messages(check_site(site_with(tmp_path, '<p id="here"></p>'))) == [
        "the link ../../index.html leads out of the site",
        "the link index.html leads nowhere",
    ]


def test_unclosed_tags_and_missing_titles() -> None:
    """A page that ends too early and one without a title are told."""
    faults = [message for _, message in scan_html("<html><p>").faults]
    assert faults == ["<html> is never closed", "<p> is never closed", "the page has no <title>"]


def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons' pages and sites past their budget are warned of; a layer's page may grow."""
    monkeypatch.setattr(check, "MAX_SITE_BYTES", 200_000)
    problems = check_site(site_with(tmp_path, "x" * 60_000, a="x" * 110_000, a_1="x" * 110_000))
    assert [problem.severity for problem in problems] == ["warning", "warning"]
    assert messages(problems)[0].endswith("GitHub Pages takes 200,000")
    assert messages(problems)[1].endswith("expected at most 100,000")


def test_a_link_that_leads_nowhere_is_one_problem(tmp_path: Path) -> None:
    """Whatever a dangling link is called, it is told and the rest is checked."""
    site = write_site(tmp_path, {"index.html": b"<!doctype html><title>t</title><a href=b.html>b</a>"})
    (site / "a.html").symlink_to("nowhere")
    assert [(p.file, p.message) for p in check_site(site)] == [
        ("a.html", "the file is a link that leads nowhere"),
        ("index.html", "the link b.html leads nowhere"),
    ]


def test_a_packed_page_holds_its_examples(tmp_path: Path) -> None:
    """A page of 120 kB is too large where its examples are a file, and not where they are in it."""
    page = b"<!doctype html><title>t</title>" + b"x" * 120_000
    site = write_site(tmp_path, {"index.html": b"<!doctype html><title>t</title>", "a_1.html": page})
    assert [p.severity for p in check_site(site)] == ["warning"]
    (site / "data").mkdir()
    (site / "data" / "a_0-3.zip").write_bytes(b"x")
    assert check_site(site) == ()


def test_an_embedded_page_is_light(tmp_path: Path) -> None:
    """A page for an iframe has a quarter of a neuron's page."""
    (tmp_path / "embed").mkdir()
    (tmp_path / "embed/a_1.html").write_text(GOOD.format("x" * 26_000))
    (problem,) = check_site(site_with(tmp_path, "x"))
    assert problem.message.endswith("expected at most 25,000")


def test_no_site(tmp_path: Path) -> None:
    """A folder without a home page is no site."""
    with pytest.raises(SiteError, match="there is no site"):
        check_site(tmp_path)


def test_helpers_find_the_same(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread over processes, the check finds what one process finds, in any file."""
    site = Path(shutil.copytree(rendered, tmp_path / "site"))
    (site / "static" / "a.css").write_text("/* /home/ann/ */")
    next(site.glob("images/neuron/*.jpg")).unlink()
    pages = sorted(site.glob("*_*.html"))
    pages[0].write_text(pages[0].read_text().replace(' id="', ' id="a'))
    pages[1].write_text(pages[1].read_text().replace("</body>", '<a href="gone.html#b">'))
    alone = check_site(site)
    assert len({problem.message for problem in alone}) > 5
    monkeypatch.setattr(check, "TEXTS_WORTH_A_HELPER", 1)
    monkeypatch.setattr(check, "n_cores", lambda: 2)
    assert check_site(site) == alone
