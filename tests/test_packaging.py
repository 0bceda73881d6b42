"""The wheel holds all that an installed atlas needs, and the lock all that the Makefile installs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = ROOT / "requirements.lock"
SOURCES = ("atlas", "site_templates", "pyproject.toml", "README.md")


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Return the versions in the lock, by name."""
    lines = [line for line in LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def files(folder: Path) -> set[str]:
    """Return the names of a folder's files, relative to it, caches left out."""
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {path.as_posix() for path in found}


def run(code: str, *arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run Python code in a process of its own and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built by the build backend without the network."""
    setuptools = pytest.importorskip("setuptools", minversion="77", reason="building needs setuptools 77")
    assert setuptools
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / name, ignore=ignore) if source.is_dir() else shutil.copy(
            source, folder
        )
    out = tmp_path_factory.mktemp("wheel")
    run(
        "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])",
        str(out),
        cwd=folder,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as members:
        members.extractall(folder)
    return folder


class TestWheel:
    def test_holds_every_source_file(self, installed: Path) -> None:
        """All of atlas/ is in the wheel: code, the demo network and its figures."""
        assert files(installed / "atlas") - {
            f"site_templates/{f}" for f in files(ROOT / "site_templates")
        } == files(ROOT / "atlas")

    def test_holds_the_templates(self, installed: Path) -> None:
        """Templates, style sheet and script stand inside the package once installed."""
        assert files(installed / "atlas" / "site_templates") == files(ROOT / "site_templates")

    def test_holds_nothing_else(self, installed: Path) -> None:
        """Beside the package there is its metadata alone, so nothing collides with other packages."""
        assert {p.name.partition("-")[0] for p in installed.iterdir()} == {"atlas", "circuit_atlas"}

    @pytest.mark.slow
    def test_builds_an_atlas_from_an_empty_folder(self, installed: Path, tmp_path: Path) -> None:
        """What the wheel installs builds the demo's site where there is nothing but an empty folder."""
        where = run("import atlas; print(atlas.__file__)", cwd=tmp_path, path=installed)
        assert Path(where.strip()).is_relative_to(installed)
        few = ["build", "--neurons", "mixed3a:0-1", "--preset", "draft"]
        run("from atlas.cli.commands import main; main()", *few, cwd=tmp_path, path=installed)
        assert {p.name for p in tmp_path.iterdir()} == {"site", "site.store"}
        assert {"index.html", "mixed3a.html", "mixed3a_0.html", "mixed3a_1.html"} <= files(tmp_path / "site")

    def test_lists_every_package(self) -> None:
        """Every folder of the package that holds code is named in pyproject.toml."""
        packages = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "atlas").rglob("__init__.py")}
        assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages | {"atlas.site_templates"}


class TestLock:
    def test_pins_every_dependency(self) -> None:
        """Each dependency, for running and for development, has one exact version."""
        project = PROJECT["project"]
        wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
        names = {normal(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in wanted}
        assert names <= locked().keys()

    def test_holds_versions_only(self) -> None:
        """The lock names no index, no file and no machine: just name==version, and each name once."""
        lines = [line for line in LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
        assert [
            line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+!]*", line)
        ] == []
        assert len(locked()) == len(lines)


class TestMakefile:
    def test_installs_the_locked_versions(self) -> None:
        """The virtual environment is made from the lock, and again when it changes."""
        rules = (ROOT / "Makefile").read_text("utf-8")
        assert "$(READY): pyproject.toml $(LOCK)" in rules
        assert "-c $(LOCK) --no-build-isolation -e '.[dev]'" in rules

    def test_too_old_a_python_is_told(self, tmp_path: Path) -> None:
        """A Python below 3.11, and one without venv, end with one line that says what to do."""
        old = tmp_path / "old"
        old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac\n')
        bare = tmp_path / "bare"
        bare.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 0;; *) exit 1;; esac\n')
        told = []
        for python in (old, bare, tmp_path / "absent"):
            if python.exists():
                python.chmod(0o755)
            done = subprocess.run(["sh", ROOT / ".ci" / "python", python], capture_output=True, text=True)
            assert done.returncode == 1
            told.append(done.stderr)
        assert "Python 3.9.2 is too old" in told[0]
        assert "apt-get install python3-venv" in told[1]
        assert "there is no" in told[2]
