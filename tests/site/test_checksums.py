"""One list holds the SHA-256 of every file, and one hash stands for the list."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from atlas.site import check_site, render_site
from atlas.site.folder import status
from atlas.site.writing import writing
from atlas.store import Store, keys
from synthetic import LISTS

LIST = "data/checksums.txt"


@pytest.fixture
def site(rendered: Path, tmp_path: Path) -> Path:
    """A site that the test may change."""
    return Path(shutil.copytree(rendered, tmp_path / "copy"))


def names(folder: Path) -> set[str]:
    """Return the addresses of a folder's files."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def told(site: Path) -> list[str]:
    """Return the faults of a site, its links and pages left aside."""
    return [str(problem) for problem in check_site(site) if "SHA-256" in str(problem) or LIST in str(problem)]


def test_sha256sum_agrees(rendered: Path) -> None:
    """`sha256sum -c` in the site's root finds every file, and every file is in the list."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", LIST], cwd=rendered, capture_output=True, text=True, check=True
    )
    checked = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert checked == names(rendered) - {status.NAME, LIST}


def test_atlas_json_holds_the_list_s_hash(rendered: Path) -> None:
    """The list without atlas.json's own line has the SHA-256 that atlas.json tells, and its counts."""
    lines = (rendered / LIST).read_text().splitlines(keepends=True)
    others = [line for line in lines if not line.endswith("  data/atlas.json\n")]
    files = json.loads((rendered / "data/atlas.json").read_bytes())["files"]
    sizes = [(rendered / line.split()[1]).stat().st_size for line in others]
    assert files == {
        "checksums": LIST,
        "sha256": hashlib.sha256("".join(others).encode()).hexdigest(),
        "n_files": len(others),
        "n_bytes": sum(sizes),
    }
    assert lines == sorted(lines, key=lambda line: line.split()[1])


def flipped(path: Path) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage", "fault"),
    [
        ("data/mixed3b_4.npz", flipped, "data/mixed3b_4.npz: the file is damaged"),
        ("images/neuron/mixed3b_0.jpg", flipped, "images/neuron/mixed3b_0.jpg: the file is damaged"),
        ("data/mixed3b_4.npz", Path.unlink, "data/mixed3b_4.npz: the file is missing"),
        ("data/atlas.json", lambda path: path.write_text("{}"), "data/atlas.json: the file is damaged"),
    ],
)
def test_the_check_names_what_is_damaged(
    site: Path, name: str, damage: Callable[[Path], object], fault: str
) -> None:
    """A file that changed or went is told, and no other is."""
    assert told(site) == []
    damage(site / name)
    (found,) = told(site)
    assert found.startswith(fault)


def test_a_forged_list_is_told(site: Path) -> None:
    """A list that was changed along with a file is not the one that atlas.json knows."""
    (site / "images/neuron/mixed3b_0.jpg").write_bytes(b"forged")
    lines = (site / LIST).read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.endswith("images/neuron/mixed3b_0.jpg"))
    lines[at] = f"{hashlib.sha256(b'forged').hexdigest()}  images/neuron/mixed3b_0.jpg"
    (site / LIST).write_text("\n".join(lines) + "\n")
    assert told(site) == [f"{LIST}: the list is not the one that data/atlas.json was written with"]


@pytest.mark.parametrize("name", ["../copy.txt", "/etc/hostname", "a/../../b", ".hidden"])
def test_a_hostile_list_leads_nowhere(site: Path, name: str) -> None:
    """A line about a file outside of the site is a fault, and the file is not read."""
    with (site / LIST).open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    found = told(site)
    assert any("the line is not a SHA-256, two spaces and a file of the site" in fault for fault in found)
    assert not any(fault.startswith(name) for fault in found)


def test_any_change_rewrites_the_lists(store: Store, tmp_path: Path) -> None:
    """After a change the list tells the new hash, and a removed file is not in it."""
    site = tmp_path / "site"
    render_site(store, site)
    key = keys.featurevis("neuron", "mixed3b", 0)
    store.put(
        key, store.read(keys.featurevis("neuron", "mixed3b", 1)), meta=dict(store.meta(key), activation=7.0)
    )
    assert set(render_site(store, site).written) >= LISTS
    assert told(site) == []


def test_a_killed_render_leaves_no_false_list(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a render ends before the lists are written, the next one writes them."""
    site = tmp_path / "site"
    render_site(store, site)
    key = keys.featurevis("neuron", "mixed3b", 0)
    store.put(key, store.read(keys.featurevis("neuron", "mixed3b", 1)), meta=store.meta(key))

    def killed(self: writing.Writing) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing.Writing, "_write_lists", killed)
        with pytest.raises(KeyboardInterrupt):
            render_site(store, site)
    assert len(told(site)) == 1
    assert set(render_site(store, site).written) == LISTS
    assert told(site) == []
