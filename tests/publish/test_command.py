"""What `circuit-atlas publish` says, refuses and does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from atlas.cli import commands
from atlas.site import render_site
from atlas.site.web import Web
from atlas.store import Store
from publishing import expected
from sites import site_contents, write_site
from synthetic import fill_store
from trees import visible_tree


def run(site: Path, target: Path, *options: str) -> Result:
    """Publish to a folder in this process."""
    return CliRunner().invoke(commands.main, ["publish", str(site), str(target), *options])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the site goes."""
    return tmp_path / "out"


def test_a_plan_is_told_and_nothing_done(site: Path, out: Path) -> None:
    """Counts, addresses and bytes; the target is not even made."""
    told = run(site, out)
    assert told.exit_code == 0
    lines = [line.split() for line in told.output.splitlines()]
    n_files = len(expected(site))
    for words in (["added", str(n_files)], ["changed", "0"], ["unchanged", "0"], ["deleted", "0"]):
        assert words in lines
    assert f"… and {n_files - 10} more" in told.output
    assert told.output.endswith("nothing is done yet: --apply does it\n")
    assert not out.exists()


def test_apply_does_it(site: Path, out: Path) -> None:
    """It says what it did, and the second time that there is nothing to do."""
    done = run(site, out, "--apply")
    assert done.exit_code == 0
    assert f"published: {len(expected(site))} files" in done.output
    assert visible_tree(out) == expected(site)
    again = run(site, out, "--apply")
    assert "nothing to do" in again.output
    assert "published" not in again.output


def test_foreign_files_are_refused_until_told(site: Path, out: Path) -> None:
    """The plan is shown, nothing is written; with the option the others' file stays."""
    write_site(out, {"mine.txt": b"mine", "index.html": b"mine too"})
    refused = run(site, out, "--apply")
    assert refused.exit_code == 1
    assert "error: the target holds 2 files that no publish put there, 1 of them at" in refused.output
    assert visible_tree(out) == {"mine.txt": b"mine", "index.html": b"mine too"}
    assert run(site, out, "--apply", "--allow-foreign").exit_code == 0
    assert visible_tree(out) == expected(site) | {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda site: (site / "mixed3b_0.html").unlink(), "mixed3b_0.html of the site .* found nothing"),
        (lambda site: (site / "mixed3b_1.html").write_text("x"), "mixed3b_1.html of the site .* other bytes"),
        (lambda site: (site / ".atlas-site.json").unlink(), "cannot be published: expected a site whose"),
        (lambda site: (site / "index.html").unlink(), "there is no site in"),
    ],
)
def test_no_whole_site_is_published(
    site: Path, out: Path, damage: Callable[[Path], object], message: str
) -> None:
    """What a render did not write, or not so, is named before anything is sent."""
    damage(site)
    refused = run(site, out, "--apply")
    assert refused.exit_code == 1
    assert re.search(f"^error: .*{message}", refused.output)
    assert not out.exists()


def test_files_beside_a_site_are_published(site: Path, out: Path) -> None:
    """What its owner laid beside the pages is no damage."""
    (site / "robots.txt").write_bytes(b"mine")
    assert run(site, out, "--apply").exit_code == 0
    assert (out / "robots.txt").read_bytes() == b"mine"


class TestPermanentLinks:
    @pytest.fixture
    def smaller(self, site: Path, out: Path) -> Path:
        """A published site that then lost a page, which nothing links to any more."""
        assert run(site, out, "--apply").exit_code == 0
        for path in site.rglob("mixed3b_5*"):
            path.unlink()
        return write_site(site, site_contents(5))

    def test_a_lost_page_is_an_error(self, smaller: Path, out: Path) -> None:
        """Also without --apply, and nothing is changed."""
        before = visible_tree(out)
        for options in ([], ["--apply"]):
            refused = run(smaller, out, *options)
            assert refused.exit_code == 1
            assert "mixed3b_5.html of the published site would be gone" in refused.output
        assert visible_tree(out) == before

    def test_a_redirect_stands_in_its_place(self, tmp_path: Path, out: Path) -> None:
        """A render with redirects keeps the promise, for good: a later site without them is refused."""
        fill_store(tmp_path / "store")
        site = tmp_path / "rendered"
        redirects = {"curves.html": "mixed3b_4.html"}
        with Store.open(tmp_path / "store") as store:
            render_site(store, site, web=Web("", redirects))
            assert run(site, out, "--apply").exit_code == 0
            assert b'url=mixed3b_4.html"' in (out / "curves.html").read_bytes()
            render_site(store, site)
            refused = run(site, out, "--apply")
            assert "curves.html of the published site would be gone" in refused.output
            render_site(store, site, web=Web("", redirects))
        assert "nothing to do" in run(site, out).output

    def test_keep_stale_keeps_it(self, smaller: Path, out: Path) -> None:
        """The old page stays as it was, and so does its promise."""
        old = (out / "mixed3b_5.html").read_bytes()
        assert run(smaller, out, "--apply", "--keep-stale").exit_code == 0
        assert (out / "mixed3b_5.html").read_bytes() == old
        assert run(smaller, out, "--apply").exit_code == 1

    def test_it_may_be_given_up(self, smaller: Path, out: Path) -> None:
        """Once told so, it is gone, and no question any more."""
        assert run(smaller, out, "--apply", "--allow-broken-links").exit_code == 0
        assert visible_tree(out) == expected(smaller)
        assert "nothing to do" in run(smaller, out).output


def test_no_tensorflow_and_a_quick_start(site: Path, out: Path) -> None:
    """A plan does not import what makes numbers."""
    import subprocess
    import sys

    code = (
        "import sys; from atlas.cli.commands import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'lucid', 'sklearn', 'scipy'}\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "publish", str(site), str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == ""
