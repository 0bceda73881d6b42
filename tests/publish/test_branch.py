"""A branch of a git remote receives a site as one commit, a large one in pieces; others' files stay."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from atlas.core.errors import PublishError
from atlas.publish import pieces, publication
from publishing import Publisher, expected, planned
from sites import write_site

# A git remote or a server of its own for each test.
pytestmark = pytest.mark.slow

LIMIT = 100_000


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository without a commit."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def to(remote: Path) -> Publisher:
    """Publishes to its branch gh-pages."""
    return Publisher(f"git+{remote}")


def git(folder: Path, *arguments: str, data: bytes | None = None) -> bytes:
    """Return what git prints."""
    who = {f"GIT_{role}_{what}": "me@here" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=data,
        capture_output=True,
        check=True,
        env={**os.environ, **who},
    )
    return done.stdout


def files(remote: Path, branch: str = "gh-pages") -> dict[str, bytes]:
    """Return every file of the branch's commit, hidden ones too."""
    names = git(remote, "ls-tree", "-r", "-z", "--name-only", branch).decode().split("\0")[:-1]
    return {name: git(remote, "cat-file", "blob", f"{branch}:{name}") for name in names}


def shown(remote: Path) -> dict[str, bytes]:
    """Return the files that are not hidden."""
    return {name: data for name, data in files(remote).items() if name[0] != "."}


def push_file(remote: Path, name: str, data: bytes) -> None:
    """Put a file into the branch as somebody else does, on top of what is there."""
    clone = remote.parent / f"clone-{name}"
    git(remote.parent, "clone", "--quiet", "--branch", "gh-pages", str(remote), str(clone))
    (clone / name).write_bytes(data)
    git(clone, "add", name)
    git(clone, "commit", "--quiet", "-m", "mine")
    git(clone, "push", "--quiet")


def test_all_of_it_arrives(remote: Path, to: Publisher, site: Path) -> None:
    """Every file, the manifest and .nojekyll, in one commit, and nothing hidden of the site."""
    (site / ".atlas-site.json").write_bytes(b"{}")
    to(site)
    assert shown(remote) == expected(site)
    assert files(remote).keys() - shown(remote).keys() == {".nojekyll", ".atlas-publish/manifest.json"}
    assert git(remote, "rev-list", "--count", "gh-pages").strip() == b"1"


def test_the_second_time_nothing_is_pushed(remote: Path, to: Publisher, site: Path) -> None:
    """The branch stays at its commit."""
    to(site)
    before = git(remote, "rev-parse", "gh-pages")
    assert to(site).plan.nothing_to_do
    assert git(remote, "rev-parse", "gh-pages") == before


def test_a_change_is_one_new_commit_without_history(remote: Path, to: Publisher, site: Path) -> None:
    """The repository does not grow by what was published before."""
    to(site)
    (site / "index.html").write_bytes(b"other")
    (site / "data" / "mixed3b_0.json").unlink()
    assert planned(to(site)) == (0, 1, len(expected(site)) - 1, 1)
    assert shown(remote) == expected(site)
    assert git(remote, "rev-list", "--count", "gh-pages").strip() == b"1"


def test_others_files_stay(remote: Path, to: Publisher, site: Path) -> None:
    """A CNAME is the host's and no question; a file of somebody's is foreign, and stays as well."""
    to(site)
    push_file(remote, "CNAME", b"atlas.example\n")
    (site / "index.html").write_bytes(b"other")
    assert to(site).plan.foreign == ()
    push_file(remote, "mine.txt", b"mine")
    (site / "index.html").write_bytes(b"yet another")
    assert to(site).plan.foreign == ("mine.txt",)
    assert shown(remote) == expected(site) | {"CNAME": b"atlas.example\n", "mine.txt": b"mine"}


def test_stale_files_are_kept_when_told(remote: Path, to: Publisher, site: Path) -> None:
    """And go with a later publish."""
    to(site)
    (site / "data" / "mixed3b_0.json").unlink()
    (site / "index.html").write_bytes(b"other")
    to(site, keep_stale=True)
    assert shown(remote) == expected(site) | {"data/mixed3b_0.json": b"{}"}
    to(site)
    assert shown(remote) == expected(site)


def test_another_branch(remote: Path, to: Publisher, site: Path) -> None:
    """Each branch is a target of its own."""
    to(site)
    Publisher(f"git+{remote}#docs")(site)
    assert files(remote, "docs") == files(remote)


def test_somebody_elses_push_is_not_overwritten(remote: Path, to: Publisher, site: Path) -> None:
    """A commit that came after the plan was made stays, and the publish says so."""
    to(site)
    (site / "index.html").write_bytes(b"other")
    with publication(site, to.address, access=to.access()) as found:
        push_file(remote, "mine.txt", b"mine")
        with pytest.raises(PublishError, match=r"stale info|rejected"):
            found.apply(run="x")
    assert files(remote)["mine.txt"] == b"mine"
    assert to(site).plan.foreign == ("mine.txt",)


def test_a_remote_that_lets_names_alone_be_fetched(remote: Path, to: Publisher, site: Path) -> None:
    """From a remote as GitHub's, only what is new is sent, and only the manifest is fetched."""
    git(remote, "config", "uploadpack.allowFilter", "true")
    to = Publisher(f"git+file://{remote}")
    to(site)
    (site / "data" / "mixed3b_1.json").write_bytes(b"[]")
    to(site)
    assert shown(remote) == expected(site)


def test_no_such_remote(tmp_path: Path, site: Path) -> None:
    """It is told in git's words, once."""
    with pytest.raises(PublishError, match=r"does not (appear to be|exist)"):
        Publisher(f"git+{tmp_path}/none.git")(site)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of ten files that do not compress, of three pieces' bytes."""
    monkeypatch.setattr(pieces, "PIECE", LIMIT)
    draw = random.Random(0)
    site = {f"images/{n}.jpg": draw.randbytes(30_000) for n in range(10)}
    pages = {"index.html": b"<!doctype html><title>atlas</title>", "data/atlas.json": b"{}"}
    return write_site(tmp_path / "large", site | pages)


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """A bare repository that refuses pushes of more than a piece, as hosts do."""
    git(tmp_path, "init", "--quiet", "--bare", "strict.git")
    git(tmp_path / "strict.git", "config", "receive.maxInputSize", str(LIMIT + 20_000))
    return tmp_path / "strict.git"


def refs(remote: Path) -> list[str]:
    """Return the names of a repository's refs."""
    return git(remote, "for-each-ref", "--format=%(refname)").decode().split()


def test_a_large_site_goes_in_pieces(strict: Path, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host takes no push so large, but its pieces; in the end it has the branch alone."""
    to = Publisher(f"git+{strict}")
    to(large)
    assert refs(strict) == ["refs/heads/gh-pages"]
    assert shown(strict) == expected(large)
    monkeypatch.setattr(pieces, "PIECE", 10**9)
    (large / "images" / "10.jpg").write_bytes(random.Random(1).randbytes(2 * LIMIT))
    with pytest.raises(PublishError, match="unpack"):
        to(large)


def test_an_interrupted_push_goes_on(strict: Path, large: Path, tmp_path: Path) -> None:
    """What arrived before a failure is not sent again, and the branch shows all of it at once."""
    hook = strict / "hooks" / "pre-receive"
    log = tmp_path / "refs"
    hook.write_text(f'#!/bin/sh\nread old new ref\necho "$ref" >> {log}\n[ "$(grep -c refs {log})" -ne 3 ]\n')
    hook.chmod(0o755)
    to = Publisher(f"git+{strict}")
    with pytest.raises(PublishError, match="declined"):
        to(large)
    assert refs(strict) == ["refs/circuit-atlas/gh-pages"]
    held = files(strict, "refs/circuit-atlas/gh-pages")
    assert {name for name in held if name[0] == "i" and name[-1] == "g"} == {
        f"images/{n}.jpg" for n in range(6)
    }
    sent = log.read_text().count("refs/")
    to(large)
    assert refs(strict) == ["refs/heads/gh-pages"]
    # Two pieces had arrived; two more, the branch and the removal of the pieces' ref are left.
    assert log.read_text().count("refs/") - sent == 4
    assert {f"images/{n}.jpg" for n in range(10)} <= files(strict).keys()


def test_a_remote_that_takes_branches_alone(strict: Path, large: Path) -> None:
    """Where the pieces' ref is refused the branch goes as a whole, as large as the host takes it."""
    git(strict, "config", "--unset", "receive.maxInputSize")
    git(strict, "config", "transfer.hideRefs", "refs/circuit-atlas")
    Publisher(f"git+{strict}")(large)
    assert refs(strict) == ["refs/heads/gh-pages"]
    assert shown(strict) == expected(large)


def test_what_an_interrupted_push_left_is_removed(strict: Path, large: Path) -> None:
    """Also where the branch holds the site already, and there is nothing to push."""
    to = Publisher(f"git+{strict}")
    to(large)
    git(strict, "update-ref", "refs/circuit-atlas/gh-pages", "refs/heads/gh-pages")
    to(large)
    assert refs(strict) == ["refs/heads/gh-pages"]
