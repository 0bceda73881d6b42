"""Every section of every page can be linked to."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment

from atlas.site.html.anchors import SectionAnchors

LINK = '<a class="anchor" href="#{}" aria-label="Link to this section"></a>'


def filled(template: str, **values: object) -> str:
    """Return what a template with anchors makes of values."""
    return Environment(autoescape=True, extensions=[SectionAnchors]).from_string(template).render(values)


def test_the_first_heading_links_to_its_section() -> None:
    """The others do not, nor does a heading outside."""
    html = filled(
        '<h2>a</h2><section class="c" id="b"><p>x</p><h2>B <small>c</small></h2><h2>d</h2></section>'
    )
    assert html.count("<a") == 1
    assert f"B <small>c</small> {LINK.format('b')}</h2><h2>d" in html


def test_an_id_may_be_filled_in() -> None:
    """The link is filled with the same value, escaped."""
    html = filled('<section id="{{ x }}"><h3>a</h3></section>', x='"<')
    assert html == f'<section id="&#34;&lt;"><h3>a {LINK.format("&#34;&lt;")}</h3></section>'


def test_a_section_without_a_heading_takes_no_other_s() -> None:
    """Neither the next section's nor an inner one's."""
    html = filled(
        '<section id="a"><p>x</p></section><section id="b"><section id="c"><h2>C</h2></section></section>'
    )
    assert re.findall(r'href="#(.)"', html) == ["c"]


def test_every_section_of_every_page(rendered: Path) -> None:
    """It has an id, and a heading that links to it."""
    for page in rendered.glob("*.html"):
        for opening, rest in re.findall(
            r"(<section\b[^>]*>)(.*?)(?=<section\b|</section>)", page.read_text(), re.S
        ):
            found = re.search(r'\bid="([^"]+)"', opening)
            assert found, (page.name, opening)
            assert re.search(rf"<h[23]\b.*?{re.escape(LINK.format(found[1]))}</h[23]>", rest, re.S), (
                page.name,
                found,
            )


def test_ids_are_promises(rendered: Path) -> None:
    """Papers link to a neuron's sections: none of these ids may go."""
    ids = set(re.findall(r'<section id="([^"]+)"', (rendered / "mixed3b_4.html").read_text()))
    assert ids >= {
        *("circuit", "upstream", "cancels", "two-hops", "factors", "downstream", "lookalikes", "numbers"),
        *("examples", "made"),
    }
