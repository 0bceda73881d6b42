"""The docs say what the program does: what can be generated or run is compared."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from atlas.cli import commands
from atlas.cli.config_file import read_config
from atlas.model.graph.ops import OPS
from atlas.store import keys
from synthetic import fill_store

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# Notebook -> the most bytes that it may have, its pictures included.
NOTEBOOKS = {"tutorial": 200_000, "pytorch": 400_000, "visualizing_weights": 3_000_000}
COMMANDS = [commands.main, *commands.main.commands.values()]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def script(name: str) -> ModuleType:
    """Return a script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def section(page: str, heading: str) -> str:
    """Return the text below a second-level heading."""
    return page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


class TestCommandLine:
    def test_page_is_what_the_program_says(self) -> None:
        """docs/cli.md is the help of every command and the defaults of every setting, as of now."""
        assert text("cli.md") == script("generate_cli").page(), "stale: run `make docs`"

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
    def test_help_ends_in_an_example(self, command: click.Command) -> None:
        """Every command says what it does and shows a call of itself on a line of its own."""
        told = command.get_help(click.Context(command, info_name=command.name))
        summary, _, example = told.partition("Example:\n")
        assert len(summary.splitlines()[2].split()) > 3
        name = command.name if command is not commands.main else ""
        assert re.match(rf"\s+circuit-atlas {name}", example)
        assert "\\b" not in told

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
    def test_every_option_has_help(self, command: click.Command) -> None:
        """No option is listed without a word on what it does."""
        bare = [o.name for o in command.params if isinstance(o, click.Option) and not o.help]
        assert bare == []

    def test_examples_are_understood(self) -> None:
        """The calls that the help and the README show name commands and options that exist."""
        calls = [
            line.split("circuit-atlas ", 1)[1].split("#")[0].split()
            for page in PAGES
            for block in re.findall(r"```(?:sh|text)\n(.*?)```", page.read_text("utf-8"), re.S)
            for line in block.splitlines()
            if re.match(r"\s*(\.venv/bin/)?circuit-atlas [a-z]", line)
        ]
        assert len(calls) >= len(COMMANDS)
        for name, *words in calls:
            command = commands.main.commands[name]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, (name, words)


class TestData:
    def test_page_is_what_the_program_says(self) -> None:
        """docs/data.md is the text of every site's data folder, the documents and the arrays, as of now."""
        assert text("data.md") == script("generate_data").page(), "stale: run `make docs`"

    def test_table_of_ops_is_the_programs(self) -> None:
        """docs/models.md lists every op of the table, as `make docs` writes it."""
        assert text("models.md") == script("generate_models").page(text("models.md")), (
            "stale: run `make docs`"
        )
        assert all(f"`{op}`" in text("models.md") for op in OPS)

    def test_example_reads_a_site(self, tmp_path: Path) -> None:
        """The program that the page gives runs as it stands, in the folder that a site is in."""
        from atlas.site import render_site
        from atlas.store import Store

        fill_store(tmp_path / "store")
        with Store.open(tmp_path / "store") as store:
            render_site(store, tmp_path / "site")
        code = re.search(r"```python\n(.*?)```", text("data.md"), re.S)
        assert code
        done = subprocess.run(
            [sys.executable, "-c", code[1]], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert len(done.stdout.splitlines()) == 4
        assert done.stdout.startswith("block/one two:three:")


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_links_lead_to_files_and_headings(self, page: Path) -> None:
        """Every relative link of a page leads to a file that is there, and to one of its headings."""
        for address in LINK.findall(page.read_text("utf-8")):
            if "://" in address:
                continue
            name, _, heading = address.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), address
            if heading:
                titles = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.M)
                assert heading in {re.sub(r"[^\w\- ]", "", t).lower().replace(" ", "-") for t in titles}

    def test_every_page_can_be_found(self) -> None:
        """The README leads to every page of the docs, at most one step away."""
        readme = (ROOT / "README.md").read_text("utf-8")
        near = {DOCS / Path(link).name for link in LINK.findall(readme) if link.startswith("docs/")}
        linked = {
            Path(link.partition("#")[0]).name
            for page in near
            if page.suffix == ".md"
            for link in LINK.findall(page.read_text("utf-8"))
        }
        pages = {page for page in DOCS.iterdir() if page.suffix in (".md", ".ipynb")}
        assert {page.name for page in pages - near} <= linked

    def test_pages_name_no_machine(self) -> None:
        """No page shows a folder of somebody's machine."""
        for page in [*PAGES, *DOCS.glob("*.ipynb")]:
            found = re.findall(
                r"(?:^|[\s\"'`(])(/(?:home|root|work|Users|tmp|opt)/\S*)", page.read_text("utf-8")
            )
            assert found == [], page.name


class TestReadme:
    def test_commands_are_make_targets(self) -> None:
        """What the README tells to make can be made."""
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
        pages = "".join(page.read_text("utf-8") for page in PAGES)
        told = set(re.findall(r"^make ([a-z-]+)", pages, re.M)) | set(re.findall(r"`make ([a-z-]+)", pages))
        assert {"atlas", "test"} <= told <= targets

    def test_folder_table_is_whole(self) -> None:
        """The folder table names the package, every room of it, the other folders, and nothing else."""
        table = section((ROOT / "README.md").read_text("utf-8"), "Folders")
        named = set(re.findall(r"^\| \[([a-z_/]+)/\]", table, re.M))
        rooms = {str(p.parent.relative_to(ROOT)) for p in (ROOT / "atlas").glob("*/__init__.py")}
        assert named == rooms | {"atlas", "site_templates", "tests", "docs"}

    def test_flow_is_told_once(self) -> None:
        """README and how_it_works draw the same flow."""
        pictures = [
            re.search(r"```\n(config ──>.*?)```", page.read_text("utf-8"), re.S)
            for page in (ROOT / "README.md", DOCS / "how_it_works.md")
        ]
        assert all(pictures)
        assert len({picture[1] for picture in pictures if picture}) == 1


class TestFloors:
    def test_picture_is_the_contract(self) -> None:
        """The floors in how_it_works are those that lint-imports holds."""
        contracts = PROJECT["tool"]["importlinter"]["contracts"]
        layers = next(c["layers"] for c in contracts if c["type"] == "layers")
        block = re.search(r"```\n(.*?)```", section(text("how_it_works.md"), "Floors"), re.S)
        assert block
        drawn = [line.split(maxsplit=1)[1].replace(" , ", " : ") for line in block[1].splitlines()]
        assert [floor.split() for floor in drawn] == [floor.split() for floor in layers]

    def test_every_room_has_its_line(self) -> None:
        """The table of rooms in how_it_works names the rooms of the tree."""
        rooms = {path.parent.name for path in (ROOT / "atlas").glob("*/__init__.py")}
        told = re.findall(r"^\| `([a-z]+)` \|", section(text("how_it_works.md"), "Floors"), re.M)
        assert sorted(told) == sorted(rooms)

    def test_walks_are_short_and_lead_through_files_that_are_there(self) -> None:
        """Each walk has at most fifteen steps; a step names a file that is there, and names that it holds."""
        walks = section(text("how_it_works.md"), "Three walks").split("\n**")[1:]
        assert len(walks) == 3
        for walk in walks:
            steps = re.findall(r"^(\d+)\. `(atlas/[a-z_/]+\.py)`(.+)$", walk, re.M)
            assert [int(number) for number, _, _ in steps] == list(range(1, len(steps) + 1))
            assert len(steps) == len(re.findall(r"^\d+\.", walk, re.M)) <= 15
            for _, file, words in steps:
                code = (ROOT / file).read_text("utf-8")
                names = [name for name in re.findall(r"`([A-Za-z_]+)`", words) if name != "neurons"]
                assert all(re.search(rf"\b{name}\b", code) for name in names), (file, names)


class TestContributing:
    def test_every_dependency_has_its_reason(self) -> None:
        """Each dependency of pyproject.toml stands in contributing with a reason, and no other does."""
        project = PROJECT["project"]
        wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
        names = {re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in wanted}
        rows = re.findall(
            r"^\| (`.+`) \| (.+) \|$",
            section(text("contributing.md"), "Dependencies, and the reason for each"),
            re.M,
        )
        told = {name for row, _ in rows for name in re.findall(r"`([^`]+)`", row)}
        assert told == names
        assert all(len(reason) > 5 for _, reason in rows)

    def test_worked_examples_name_what_is_there(self) -> None:
        """Each names at most five files of the program that are there, and names that they hold."""
        examples = section(text("contributing.md"), "Three worked examples").split("\n\n**")[1:]
        assert len(examples) == 3
        for example in examples:
            steps = re.split(r"^- ", example, flags=re.M)[1:]
            touched = set()
            for step in steps:
                files = [
                    path for path in re.findall(r"`([a-z_/]+\.(?:py|html|md))`(?!, new)", step) if "/" in path
                ]
                assert [path for path in files if not (ROOT / path).is_file()] == []
                code = "".join((ROOT / path).read_text("utf-8") for path in files if path.endswith(".py"))
                names = re.findall(r"`([A-Z][A-Za-z]+|[A-Z]+|[a-z]+_[a-z_]+)`", step)
                known = {"Acosh", "Atan", "Piece", "LayerArtefacts", "Catalogue"}
                assert [name for name in names if name not in code and name not in known] == []
                touched |= {
                    path
                    for path in files
                    if path.startswith("atlas/") and not step.startswith(("Only", "Tests"))
                }
            assert 1 <= len(touched) <= 5


class TestScaling:
    @pytest.mark.slow
    def test_job_script_is_what_dask_jobqueue_writes(self) -> None:
        """The page's cluster asks SLURM for the jobs that the page shows, but for its address."""
        pytest.importorskip("dask_jobqueue", reason="writes the script")
        page = section(text("scaling.md"), "On SLURM")
        code = re.search(r"```python\n(.*?)cluster\.scale", page, re.S)
        shown = re.search(r"```bash\n(.*?)```", page, re.S)
        assert code
        assert shown
        call = code[1] + "print(cluster.job_script())"
        done = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True)
        written = re.sub(r"tcp://\S+", "tcp://10.0.0.1:8786", done.stdout)
        assert written.strip() == shown[1].strip()
        told = re.search(r"^command = (\[.*\])$", page, re.M)
        assert told
        assert '"--scheduler", cluster.scheduler_address' in told[1]


class TestPytorch:
    def test_config_is_understood(self, tmp_path: Path) -> None:
        """The config of the walk from a checkpoint to a site holds settings that exist."""
        shown = re.search(r"```toml\n(.*?)```", text("pytorch.md"), re.S)
        assert shown
        (tmp_path / "atlas.toml").write_text(shown[1])
        config = read_config(tmp_path / "atlas.toml")
        assert config.model == "my_nets:make_net"
        assert config.layers == ("layer1.1", "layer2.1")

    @pytest.mark.slow
    def test_code_runs(self) -> None:
        """The code that the page gives runs as it stands, on a ResNet."""
        from torch_twin import declare_vision_ops

        kept = declare_vision_ops()
        from torchvision.models import resnet18

        code = re.search(r"```python\n(.*?)```", text("pytorch.md"), re.S)
        assert code
        exec(code[1], {"module": resnet18(weights=None)})
        del kept


class TestStoreFormat:
    def test_every_key_is_told(self) -> None:
        """The table of files spells every key that the store's paths spell."""
        page = text("store_format.md")
        words = {"source_slug": "source", "target_slug": "target", "layer_slug": "layer", "index": "n"}
        made = [path for _, path in inspect.getmembers(keys, inspect.isfunction)]
        asked = [
            [f"<{words.get(name, name)}>" for name in inspect.signature(path).parameters] for path in made
        ]
        artefact_keys = {keys.ATLAS, *(path(*given) for path, given in zip(made, asked, strict=True))}
        told = set(re.findall(r"^\| `([^`]+)`", section(page, "Files"), re.M))
        assert told == artefact_keys | {"index.jsonl", "index.snapshot", "digests.json", "drawings/", "lock"}

    @pytest.mark.slow
    def test_example_reads_a_real_store(self, tmp_path: Path) -> None:
        """The code that the page gives runs as it stands, on a store that the program made."""
        code = re.search(r"```python\n(.*?)```", text("store_format.md"), re.S)
        assert code
        build = ["compute", "--layers", "mixed3a,mixed3b", "--neurons", "mixed3b:7", "--preset", "draft"]
        call = "from atlas.cli.commands import main; main()"
        subprocess.run(
            [sys.executable, "-c", call, *build],
            cwd=tmp_path,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        done = subprocess.run(
            [sys.executable, "-c", code[1]], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert len(done.stdout.splitlines()) >= 3


@pytest.mark.parametrize("name", NOTEBOOKS)
class TestNotebooks:
    def test_outputs_are_kept_and_small(self, name: str) -> None:
        """A reader without Python sees what every cell gives, and the file stays small."""
        assert (DOCS / f"{name}.ipynb").stat().st_size < NOTEBOOKS[name]
        cells = code_cells(name)
        shows = [cell for cell in cells if "print(" in "".join(cell["source"])]
        assert shows
        assert all(cell["outputs"] for cell in shows)
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))

    def test_outputs_are_of_this_code(self, name: str) -> None:
        """Whoever changes a cell runs the notebook again."""
        kept = notebook(name)
        runner = script("run_notebooks")
        assert kept["metadata"][runner.RAN] == runner.code_digest(kept), "stale: run `make docs`"

    def test_imports_public_names_only(self, name: str) -> None:
        """A notebook uses nothing whose name begins with an underscore."""
        trees = [ast.parse("".join(cell["source"])) for cell in code_cells(name)]
        names = [node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        assert [name for name in names if name.startswith("_")] == []

    @pytest.mark.slow
    def test_cells_run(self, name: str) -> None:
        """Every cell runs in order, and says what it is kept with, numbers and pictures aside."""
        for needed in ("torch", "safetensors") if name == "pytorch" else ():
            pytest.importorskip(
                needed, reason=f"{needed} is not installed: pip install 'circuit-atlas[torch]'"
            )
        ran = script("run_notebooks").run(notebook(name))
        now = [told(cell) for cell in ran["cells"] if cell["cell_type"] == "code"]
        assert now == [told(cell) for cell in code_cells(name)]


class TestVisualizingWeights:
    def test_every_section_of_the_original_is_there(self) -> None:
        """The notebook goes the original's way, and says what to change for GoogLeNet."""
        cells = notebook("visualizing_weights")["cells"]
        prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        heads = re.findall(r"^## (.+)$", prose, re.M)
        original = [
            "Setup",
            "Expanded weights",
            "The first layer",
            "Hidden weights",
            "Spatial positions",
            "Factors",
        ]
        assert heads[: len(original)] == original
        assert "### What to change for GoogLeNet" in prose
        section = prose.split("### What to change for GoogLeNet", 1)[1].split("## ", 1)[0]
        for word in ("path/to/googlenet", "mixed3b:379", "range(320, 340)", "maxpool1", "maxpool4"):
            assert word in section, word

    def test_figures_hold_their_pictures_and_legends(self) -> None:
        """Every figure is kept with its pictures inside, and signed ones with the legend of signs."""
        outputs = [o for cell in code_cells("visualizing_weights") for o in cell["outputs"]]
        figures = ["".join(o["data"]["text/html"]) for o in outputs if "text/html" in o.get("data", {})]
        assert len(figures) >= 20
        assert all("data:image/" in figure for figure in figures[1:])
        assert sum("blue negative, white zero, red positive" in figure for figure in figures) >= 10
        assert sum("data:image/jpeg" in figure for figure in figures) >= 15

    def test_every_public_function_is_shown(self) -> None:
        """What the package offers by name is used in the notebook or stands in the table of methods."""
        import atlas

        code = "".join("".join(cell["source"]) for cell in code_cells("visualizing_weights"))
        told_of = text("methods_table.md")
        for name in atlas.__all__:
            assert (
                f"atlas.{name}(" in code
                or f"`{name}`" in told_of
                or f"`atlas.{name}`" in told_of
                or "__" in name
            )


class TestMethodsTable:
    def test_calls_and_tests_exist(self) -> None:
        """Each call of the table is the package's, and each test is a file."""
        import atlas

        page = text("methods_table.md")
        assert len(re.findall(r"^\| \d+ \|", page, re.M)) == 11
        rows = [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", page, re.M)]
        for row in rows:
            if "tests/" not in row[-1]:
                continue
            assert (ROOT / row[-1].strip("`")).is_file(), row[-1]
            for name in re.findall(r"`(?:atlas\.)?(\w+)`", row[-3]):
                assert name in atlas.__all__, name


class TestReliability:
    def test_every_test_exists(self) -> None:
        """Each promise names its test, and each test or benchmark that is named is there."""
        rows = re.findall(
            r"^\| (?!promise|---|\*\*)(.+) \| (.+) \|$",
            text("reliability.md").partition("## Counts")[0],
            re.M,
        )
        assert len(rows) > 25
        for promise, where in rows:
            names = re.findall(r"`(tests/[^`]+)`", where)
            assert names, promise
            for name in names:
                file, *parts = name.split("::")
                code = (ROOT / file).read_text("utf-8")
                for part in parts:
                    assert re.search(rf"^\s*(?:class|def) {part}\b", code, re.M), name


def notebook(name: str) -> dict[str, Any]:
    """Return a notebook of docs/."""
    kept: dict[str, Any] = json.loads((DOCS / f"{name}.ipynb").read_text("utf-8"))
    return kept


def code_cells(name: str) -> list[dict[str, Any]]:
    """Return a notebook's cells that hold code."""
    return [cell for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]


def told(cell: dict[str, Any]) -> list[tuple[list[str], str]]:
    """Return the kind of each of a cell's outputs, and its words: what no other processor changes."""
    found = []
    for output in cell["outputs"]:
        data = output.get("data", {"printed": output.get("text", "")})
        shown = "".join(data.get("text/html") or data.get("printed") or data.get("text/plain") or "")
        found.append((sorted(data), words(shown)))
    return found


def words(shown: str) -> str:
    """Return the words of a text or of HTML, without numbers and the signs before them."""
    bare = re.sub(r"<style>.*?</style>|<[^>]*>", " ", shown, flags=re.S)
    return " ".join(re.findall(r"[A-Za-z]{2,}", re.sub(r"e-\d+", "", bare)))
