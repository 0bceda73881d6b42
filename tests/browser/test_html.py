"""Every kind of page is valid HTML, by the checker that the W3C uses (Nu), in one run of Java."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsing import html_faults

pytestmark = pytest.mark.slow

START = "<!doctype html><html lang=en><title>x</title>"


def test_faults_are_found(tmp_path: Path) -> None:
    """The checker is awake: a paragraph among the items of a list is told, and a style that is none."""
    (tmp_path / "list.html").write_text(f"{START}<ul><p>x</ul>")
    (tmp_path / "style.html").write_text(f"{START}<style>p{{color:7}}</style>")
    assert [fault.partition(":")[0] for fault in html_faults(tmp_path)] == ["list.html", "style.html"]


def test_every_kind_of_page_is_valid(whole_site: Path) -> None:
    """Home, layers, neurons, families, method and the rest, hostile names and inline styles included."""
    assert html_faults(whole_site) == []
