"""Style sheets and scripts are written without what only their authors read."""

from __future__ import annotations

import pytest

from atlas.pages.assets import gather_assets, slim, template_folder


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.js", "// Why.\n\nif (a) {\n  b(); // here\n}\n", "if(a){b();}\n"),
        ("a.js", 'const a = "x // y";\n', 'const a="x // y";\n'),
        ("a.js", "a(`x // ${b}  y`);\n", "a(`x // ${b}  y`);\n"),
        ("a.css", "/* Why. */\na {\n  width: calc(1px + 2px); /* d */\n}\n", "a{width:calc(1px + 2px)}\n"),
        ("a.svg", "<svg>\n  <!-- a -->\n</svg>\n", "<svg>\n  <!-- a -->\n</svg>\n"),
    ],
)
def test_what_is_left_out(name: str, text: str, expected: str) -> None:
    """Comments and spaces; texts stay, and other files stay whole."""
    assert slim(name, text.encode()).decode() == expected


def test_styles_and_scripts_have_a_budget() -> None:
    """All of them together stay within 60 kB."""
    assets = gather_assets(template_folder(), generated={})
    sizes = {name: len(data) for name, data in assets.contents.items() if name.endswith((".css", ".js"))}
    assert sum(sizes.values()) <= 60_000, sizes
