"""Style sheets and scripts are written without what only their authors read."""

from __future__ import annotations

import pytest

from atlas.pages.assets import gather_assets, slim, template_folder


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.js", "// Why.\n\nif (a) {\n  b(); // here\n}\n", "if (a) {\nb(); // here\n}\n"),
        ("a.js", 'const a = "x // y";\n', 'const a = "x // y";\n'),
        ("a.css", "/* Why. */\na {\n  b: c; /* d */\n}\n", "a {\nb: c; /* d */\n}\n"),
        ("a.css", "/* a */ b { c: d } /* e */\n", "/* a */ b { c: d } /* e */\n"),
        ("a.svg", "<svg>\n  <!-- a -->\n</svg>\n", "<svg>\n  <!-- a -->\n</svg>\n"),
    ],
)
def test_what_is_left_out(name: str, text: str, expected: str) -> None:
    """Indents, blank lines, and comments that fill a line; all else stays, and other files stay whole."""
    assert slim(name, text.encode()).decode() == expected


def test_no_text_spans_lines() -> None:
    """In no script of ours a template literal, in no style sheet a comment goes over a line's end."""
    for path in (template_folder() / "static").iterdir():
        for line in path.read_text().splitlines():
            assert line.count("`") % 2 == 0, (path.name, line)
            assert line.count("/*") == line.count("*/") or path.suffix == ".js", (path.name, line)


def test_styles_and_scripts_have_a_budget() -> None:
    """All of them together stay within 60 kB."""
    assets = gather_assets(template_folder(), generated={})
    sizes = {name: len(data) for name, data in assets.contents.items() if name.endswith((".css", ".js"))}
    assert sum(sizes.values()) <= 60_000, sizes
