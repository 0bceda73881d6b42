"""Style sheets and scripts are written without comments; pages follow the program that makes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import import_graph
from atlas.site.folder.assets import gather_assets, program_digest, slim, template_folder


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


def test_a_changed_byte_in_any_file_that_makes_pages_changes_the_digest(tmp_path: Path) -> None:
    """Whatever the pages import, in whichever folder it lies, and every template."""
    package, templates = tmp_path / "atlas", tmp_path / "templates"
    shutil.copytree(import_graph.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(template_folder(), templates)
    # The package's own __init__ names all public functions, and imports none.
    graph = {name: found - {"atlas"} for name, found in import_graph.imports(package).items()}
    code = import_graph.reached("atlas.site.writing.site", graph) | import_graph.reached(
        "atlas.site.writing.worker", graph
    )
    files = [path for name, path in import_graph.modules(package).items() if name in code]
    files += [path for path in sorted(templates.rglob("*")) if path.is_file()]
    before, same = program_digest(templates, package=package), []
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole + b"\n")
        same += [file.relative_to(tmp_path)] if program_digest(templates, package=package) == before else []
        file.write_bytes(whole)
    assert len(files) > 100
    assert same == []
    assert program_digest(templates, package=package) == before
