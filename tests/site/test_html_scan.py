"""The scan of a page finds what html.parser finds, and where it does not, what the HTML standard says."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.site.html.html_scan import scan_html

PAGE = '<!doctype html>\n<html lang="en"><head><title>a</title></head><body>\n{}\n</body></html>\n'
VOID = set("area base br col embed hr img input link meta source track wbr".split())
Tags = list[tuple[str, list[tuple[str, str | None]], int]]


class Found(NamedTuple):
    """What a scan finds in a page."""

    links: list[tuple[str, int]]
    canonical: list[tuple[str, int]]
    ids: set[str]
    faults: list[tuple[int, str]]


class Oracle(HTMLParser):
    """What html.parser finds, with the text of <textarea> and <title> as text, as in newer releases."""

    CDATA_CONTENT_ELEMENTS = ("script", "style", "textarea", "title")

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Found([], [], set(), [])
        self.open: list[tuple[str, int]] = []
        self.titled = False
        self.feed(page)
        self.close()
        self.found.faults.extend((line, f"<{tag}> is never closed") for tag, line in self.open)
        if not self.titled:
            self.found.faults.append((0, "the page has no <title>"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, ids and pictures without a text."""
        line = self.getpos()[0]
        keys = dict(attrs)
        if tag not in VOID:
            self.open.append((tag, line))
        self.titled |= tag == "title"
        canonical = tag == "link" and keys.get("rel") == "canonical"
        for key in ("href", "src", "data-records"):
            if key in keys:
                (self.found.canonical if canonical else self.found.links).append((keys[key] or "", line))
        if tag == "meta" and keys.get("http-equiv") == "refresh":
            self.found.links.append(((keys["content"] or "").partition("url=")[2], line))
        if "id" in keys:
            name = keys["id"] or ""
            if name in self.found.ids:
                self.found.faults.append((line, f"the id {name!r} stands twice"))
            self.found.ids.add(name)
        if tag == "img" and "alt" not in keys:
            self.found.faults.append((line, "an <img> has no alt text"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Let every tag close itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close a tag, and tell those that were opened since."""
        if not any(name == tag for name, _ in self.open):
            self.found.faults.append((self.getpos()[0], f"</{tag}> closes nothing"))
            return
        while (last := self.open.pop())[0] != tag:
            self.found.faults.append((last[1], f"<{last[0]}> is not closed before </{tag}>"))


def scanned(page: str) -> Found:
    """Return what the scan finds, with lines."""
    scan = scan_html(page)
    links, canonical = (
        [(link, scan.lines[tag]) for link, tag in some] for some in (scan.links, scan.canonical)
    )
    return in_order(Found(links, canonical, scan.ids, scan.faults))


def in_order(found: Found) -> Found:
    """Return what was found, sorted."""
    return Found(sorted(found.links), sorted(found.canonical), found.ids, sorted(found.faults))


def test_pages_of_a_site(rendered: Path) -> None:
    """On every page of a site the scan finds what html.parser finds."""
    pages = list(rendered.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        page = path.read_text()
        assert scanned(page) == in_order(Oracle(page).found), path
        for broken in (
            page.replace("</span>", "", 1),
            page.replace("</div>", "</p>", 2),
            page[: len(page) // 2],
        ):
            cut = broken[: broken.rindex(">") + 1]
            assert scanned(cut) == in_order(Oracle(cut).found), path


@pytest.mark.parametrize(
    "body",
    [
        "<a href=a.html#b id=c>x</a><img src=b.jpg alt=x><a href=b/>y</a><img src = 'c.jpg' alt>",
        "<a title='1 > 0' href=\"a>b.html\">x</a><i title=\"it's <b>\">y</i><p title=it's>z</p>",
        "<!-- <a href='gone.html'> <p id=a> --><!----><!-- a\n- -> <b> --><p id=a>x</p>\n<img>",
        "<script>let a = '<a href=\"gone.html\">', b = '<p>', c = '</p' < 1</script>\n<img src=a>",
        "<SCRIPT>'<p>'</Script ><P ID=a>x</p><A HREF='B.html'>x</A><IMG SRC=a ALT=b>",
        "<a href='a.html?b=1&amp;c=2#&#100;&eacute;'>x</a><p id='&lt;&quot;'>y</p>",
        "<br><br/><br /><hr class=a/><p/><i/></i></br>",
        '<svg viewBox="0 0 1 1"><title>a</title><path d="M0 0"/><g><a href="#b"><text>x</text></a></g>'
        '<linearGradient id="b"><stop/></linearGradient><style>a{}</style></svg>',
        "<textarea id=a><a href='gone.html'><p></textarea\n><title>a <b> c</TITLE><p id=a></p>",
        "<p\r\n id=a\r\n>x\r\n<b>y</p>\r\n<a\thref='b.html'\n>z</a>\r\n<p id=a></p><img>",
        "a < b <3 <> & <<p>>x</p> </p> <a<b>y</a<b> <p class='a'id='b'/ title>z</p>",
        '<link rel="canonical" href="https://a.org/b"><meta http-equiv="refresh" content="0; url=b.html">',
        '<em class=\'n\'>a</em><i class="k"><b>a</i></b><td>a<td>b</td><span id="a">x</span><span>y',
        "<b>a</b> 1 < 2 <b>c</b><i>d</i> < <i>e</i></b><span ID='f'>g</span><td x='' id=\"h\">i</td>",
        "<?xml version='1.0'?><!ENTITY a><p>x</p></><a href>y</a><p id>z</p>",
    ],
)
def test_pages_by_hand(body: str) -> None:
    """On pages that somebody wrote, rightly or not, the scan finds what html.parser finds."""
    page = PAGE.format(body)
    assert scanned(page) == in_order(Oracle(page).found)


@pytest.mark.parametrize(
    ("body", "links", "faults"),
    [
        # The standard drops a tag that never ends; html.parser reads on behind its "<", in some releases.
        ('<a href="b.html">x</a>\n<a href="c.html>y</a>', ["b.html"], ["a tag or comment never ends"]),
        ("<p>x</p><!-- <a href='b.html'>", [], ["a tag or comment never ends"]),
        # Comments may be empty, or end with --!>, not with a space.
        ("<!--><a href=b>x</a><!---><a href=c>x</a><!-- -- ><p>--!><a href=d>x</a>", ["b", "c", "d"], []),
        # No script ends at a longer name, and each ends at its own with attributes.
        ("<script>'</scripts><a href=b>'</script a=b><a href=c>x</a>", ["c"], []),
        # Browsers take the first of two attributes, and html.parser returns both.
        ("<a href=b href=c>x</a>", ["b"], ["<a> has the attribute href twice"]),
        # White space is that of HTML.
        ("<a\xa0href=b>x</a\xa0href=b><p\x0bid=c>y</p\x0bid=c>", [], []),
        ("<svg><![CDATA[<a href=b>]]></svg>", [], []),
    ],
)
def test_where_html_parser_errs(body: str, links: list[str], faults: list[str]) -> None:
    """Where html.parser differs from the standard, or from one release to the next, the standard counts."""
    page = f"<title>a</title>\n{body}"
    scan = scan_html(page)
    assert [link for link, _ in scan.links] == links
    assert [message for _, message in scan.faults] == faults


PIECES = (
    *"<p> </p> <b> </b> <br/> <p/> </td > <I> </I> <style> </style> <script> </script> <path/>".split(),
    *(
        "<a href='b.html#c'>",
        "</a>",
        '<i class="k">',
        "<em>",
        "</em>",
        "<img src=a.jpg alt='>'>",
        "<svg id=a>",
    ),
    *(
        "a < b",
        " \n ",
        "\r\n",
        "<!-- <p> -->",
        "x &amp; y",
        "<p id=b>",
        '<text x="1" y="2">',
        "</text>",
        "</svg>",
    ),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_order_of_tags(pieces: list[str]) -> None:
    """However tags are nested, the scan finds what html.parser finds."""
    page = PAGE.format("".join(pieces))
    assert scanned(page) == in_order(Oracle(page).found)


@pytest.mark.parametrize(
    "piece", ["<a ", '<a b="', "<a b='c\"", "<!--", "<script>", "<i>", "<a =", "<![CDATA[", "</"]
)
def test_no_page_takes_long(piece: str) -> None:
    """The time grows with a page's length, not with its square: a megabyte of nonsense takes no minute."""
    assert scan_html(piece * (1_000_000 // len(piece))).faults


def test_stray_end_tags_take_no_longer_behind_many_open_ones() -> None:
    """Each would be looked for among all that are open: a hundred thousand of each would take hours."""
    assert len(scan_html("<title>x</title>" + "<div>" * 100_000 + "</p>" * 100_000).faults) == 200_000
