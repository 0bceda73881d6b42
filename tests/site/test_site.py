"""A render writes what is stale, all of it and nothing else."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from atlas.core.errors import DamagedError, SiteError
from atlas.core.records import AtlasRecord, Connections, Factorization
from atlas.site import check_site, render_site
from atlas.site.folder import site_folder, status
from atlas.site.writing import writing
from atlas.store import Store, keys
from sites import write_site
from synthetic import LISTS
from trees import tree


def slug_of(store: Store, at: int) -> str:
    """Return the slug of a layer of the atlas."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    return next(x.slug for x in atlas.model.layers if x.name == atlas.layers[at].layer)


class TestWholeSite:
    def test_every_promised_file_is_there(self, store: Store, tmp_path: Path) -> None:
        """Home, layers and neurons with pictures, strips, JSON and npz lie at their addresses."""
        result = render_site(store, tmp_path / "site")
        files = tree(tmp_path / "site")
        slugs = [slug_of(store, at) for at in range(3)]
        pages = ["index.html", "method.html", *(f"{slug}.html" for slug in slugs)]
        pages += [f"{slugs[0]}_{n}.html" for n in (0, 2, 3)]
        pages += [f"{slugs[1]}_{n}.html" for n in range(5)] + [f"{slugs[2]}_{n}.html" for n in range(7)]
        neurons = [page for page in pages if "_" in page]
        assert {name for name in files if name.endswith(".html")} == {
            *pages,
            *(f"embed/{page}" for page in neurons),
        }
        for n in range(7):
            stem = f"{slugs[2]}_{n}"
            folders = ("images/neuron", "images/neuron-negative", "images/examples")
            wanted = [
                f"data/{stem}.json",
                f"data/{stem}.npz",
                *(f"{folder}/{stem}.jpg" for folder in folders),
            ]
            assert not set(wanted) - files.keys()
        assert result.n_pages == len(pages)
        assert result.n_written == len(files) - 1  # without the status file
        assert set(result.written) == files.keys() - {status.NAME}

    def test_it_passes_its_check(self, rendered: Path) -> None:
        """A fresh site has no fault, hostile names and labels included."""
        assert check_site(rendered) == ()

    def test_two_renders_are_byte_identical(self, store: Store, tmp_path: Path) -> None:
        """Two folders hold the same bytes, the status file included."""
        render_site(store, tmp_path / "a")
        render_site(store, tmp_path / "deeper" / "b")
        assert tree(tmp_path / "a") == tree(tmp_path / "deeper" / "b")

    def test_pictures_are_the_store_s(self, store: Store, tmp_path: Path) -> None:
        """A feature visualization is copied bit by bit."""
        render_site(store, tmp_path / "site")
        shown = (tmp_path / "site/images/neuron/mixed3b_4.jpg").read_bytes()
        assert shown == store.read(keys.featurevis("neuron", "mixed3b", 4))

    def test_hostile_text_is_text(self, rendered: Path) -> None:
        """No name, label or file name of a model becomes a tag."""
        for page in rendered.glob("*.html"):
            assert "<script>alert" not in page.read_text()
        assert "&lt;script&gt;alert(1)" in (rendered / "index.html").read_text()

    def test_an_atlas_without_layers_has_a_home(self, store: Store, tmp_path: Path) -> None:
        """Nothing computed yet is shown as nothing, not as an error."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        store.put_record(keys.ATLAS, AtlasRecord(atlas.title, atlas.model, ()))
        assert render_site(store, tmp_path / "site").n_pages == 2
        assert check_site(tmp_path / "site") == ()

    def test_missing_artefacts_leave_their_section_out(self, store: Store, tmp_path: Path) -> None:
        """A layer whose artefacts were not made still has pages without broken links."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        with Store.open(tmp_path / "bare", write=True) as bare:
            bare.put_record(keys.ATLAS, atlas)
            render_site(bare, tmp_path / "site")
        assert check_site(tmp_path / "site") == ()
        assert 'id="upstream"' not in (tmp_path / "site/mixed3b_0.html").read_text()


class TestNothingToDo:
    def test_nothing_is_written(self, store: Store, tmp_path: Path) -> None:
        """A second render leaves every file's time of change alone."""
        site = tmp_path / "site"
        render_site(store, site)
        render_site(store, site)  # settles what was as young as the status file
        before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in site.rglob("*")}
        result = render_site(store, site)
        assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in site.rglob("*")} == before
        assert (result.n_written, result.n_removed) == (0, 0)
        assert result.n_unchanged == len([p for p in site.rglob("*") if p.is_file()]) - 1

    def test_only_the_atlas_record_is_read(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Fresh or stale is told by the store's index."""
        render_site(store, tmp_path / "site")
        read, original = [], Store.read
        monkeypatch.setattr(Store, "read", lambda self, key: read.append(key) or original(self, key))
        render_site(store, tmp_path / "site")
        assert set(read) == {keys.ATLAS}

    def test_a_copied_site_is_fresh(self, store: Store, tmp_path: Path) -> None:
        """New times alone make nothing stale, and are settled in one render."""
        render_site(store, tmp_path / "site")
        shutil.copytree(tmp_path / "site", tmp_path / "copy", copy_function=shutil.copyfile)
        assert render_site(store, tmp_path / "copy").n_written == 0
        reference = status.load_status(tmp_path / "copy")
        _, was_doubtful = status.intact_files(tmp_path / "copy", reference.files)
        assert not was_doubtful

    def test_neither_jinja_nor_tensorflow_is_imported(self, store: Store, tmp_path: Path) -> None:
        """A render with nothing to do starts fast."""
        render_site(store, tmp_path / "site")
        code = """
import sys
from dataclasses import replace
from pathlib import Path
from atlas.site import render_site
from atlas.store import Store

with Store.open(Path(sys.argv[1])) as store:
    assert render_site(store, Path(sys.argv[2])).n_written == 0
print([name for name in ("jinja2", "tensorflow", "lucid", "sklearn") if name in sys.modules])
"""
        arguments = [sys.executable, "-c", code, str(store.folder), str(tmp_path / "site")]
        root = Path(__file__).parents[2]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=root)
        assert done.stdout.strip() == "[]"


class TestStale:
    @pytest.fixture
    def site(self, store: Store, tmp_path: Path) -> Path:
        """A site that is up to date."""
        render_site(store, tmp_path / "site")
        return tmp_path / "site"

    def test_a_changed_picture_rewrites_itself_alone(self, store: Store, site: Path) -> None:
        """Pages that link a picture do not change with it."""
        other = store.read(keys.featurevis("neuron", "mixed3b", 1))
        key = keys.featurevis("neuron", "mixed3b", 0)
        meta = store.meta(key)
        assert other != store.read(key)
        store.put(key, other, meta=meta)
        assert set(render_site(store, site).written) == {"images/neuron/mixed3b_0.jpg", *LISTS}

    def test_a_changed_activation_rewrites_the_pages_that_tell_it(self, store: Store, site: Path) -> None:
        """The neuron's page, its JSON, its layer's wall, and nothing else."""
        key = keys.featurevis("neuron", "mixed3b", 0)
        other = store.read(keys.featurevis("neuron", "mixed3b", 1))
        store.put(key, other, meta={**store.meta(key), "activation": 77.0})
        written = set(render_site(store, site).written)
        assert written == {
            "images/neuron/mixed3b_0.jpg",
            "mixed3b_0.html",
            "data/mixed3b_0.json",
            "mixed3b.html",
            *LISTS,
        }

    def test_a_changed_factorization(self, store: Store, site: Path) -> None:
        """Its error stands on the neuron's page and in its layer's sort column."""
        key = keys.factorization("mixed3b", 2)
        record = store.record(key, Factorization)
        store.put_record(key, Factorization(record.source, record.n_factors, 0.7, record.factors))
        written = set(render_site(store, site).written)
        assert written == {"mixed3b_2.html", "data/mixed3b_2.json", "mixed3b.html", *LISTS}

    def test_changed_connections_rewrite_the_neurons_they_changed(self, store: Store, site: Path) -> None:
        """A layer's connections are one artefact, yet only pages and circuits that show them are written."""
        key = keys.connections("mixed3b", "upstream")
        record = store.record(key, Connections)
        record.strength[3] *= np.float32(2)
        store.put_record(key, record)
        written = set(render_site(store, site).written) - LISTS
        own = {"mixed3b_3.html", "data/mixed3b_3.json", "data/mixed3b_3.npz", "mixed3b.html"}
        own.add("embed/mixed3b_3.html")
        assert own <= written
        elsewhere = {path for path in written - own if path.startswith("data/")}
        assert elsewhere
        for path in elsewhere:
            columns = json.loads((site / path).read_bytes())["circuit"]["columns"]
            assert ["mixed3b", 3] in [spot for column in columns for spot in column]
        pages = {path.removeprefix("data/").replace(".json", ".html") for path in elsewhere}
        assert written - own - elsewhere == pages

    def test_deleted_and_altered_files_are_made_again(self, store: Store, site: Path) -> None:
        """What is missing or not what was written comes back; the rest is left alone."""
        before = tree(site)
        (site / "mixed3b_1.html").unlink()
        page = site / "images/neuron/mixed3b_2.jpg"
        data = bytearray(page.read_bytes())
        data[100] ^= 1
        page.write_bytes(data)
        (site / "mixed3b.html").write_text("longer or shorter")
        written = set(render_site(store, site).written)
        assert written == {"mixed3b_1.html", "images/neuron/mixed3b_2.jpg", "mixed3b.html"}
        assert tree(site) == before

    def test_a_lost_status_makes_all_again(self, store: Store, site: Path) -> None:
        """Without its status a site is rewritten, to the same bytes."""
        before = tree(site)
        (site / status.NAME).write_text("{half")
        assert render_site(store, site).n_unchanged == 0
        assert tree(site) == before

    def test_neurons_that_left_the_atlas_leave_the_site(self, store: Store, site: Path) -> None:
        """Files of a former build go, a user's files stay, and so does what a user changed."""
        (site / "mine.html").write_text("mine")
        (site / "mixed3b_6.html").write_text("mine now")
        atlas = store.record(keys.ATLAS, AtlasRecord)
        store.put_record(
            keys.ATLAS,
            AtlasRecord(atlas.title, atlas.model, atlas.layers[:2], atlas.settings, atlas.versions),
        )
        result = render_site(store, site)
        left = {p.relative_to(site).as_posix() for p in site.rglob("*mixed3b*")}
        assert left == {"mixed3b_6.html"}
        assert (site / "mine.html").read_text() == "mine"
        assert "images/neuron/mixed3b_0.jpg" in result.removed
        assert "static" not in {Path(path).parts[0] for path in result.removed if "search" not in path}

    def test_a_render_that_was_killed_is_finished(
        self, store: Store, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Interrupted anywhere, the next render ends with the bytes of an undisturbed one."""
        expected, write = tree(site), site_folder.SiteFolder._replace
        for n_writes in (1, 7, 40, 80):
            target = tmp_path / f"killed{n_writes}"
            left = [n_writes]

            def dying(self: site_folder.SiteFolder, path: str, data: bytes, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    (self.folder / site_folder._ASIDE).write_bytes(data[:10])
                    raise KeyboardInterrupt
                write(self, path, data)

            monkeypatch.setattr(site_folder.SiteFolder, "_replace", dying)
            with pytest.raises(KeyboardInterrupt):
                render_site(store, target)
            monkeypatch.setattr(site_folder.SiteFolder, "_replace", write)
            render_site(store, target)
            assert tree(target) == expected

    def test_what_a_killed_render_wrote_and_nobody_wants_goes(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Files that a killed render wrote after its last look at the status are known to the next one."""
        target, atlas = tmp_path / "killed", store.record(keys.ATLAS, AtlasRecord)

        def kill(self: writing.Writing, templates: Path) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as killed:
            killed.setattr(writing.Writing, "_write_all", kill)
            with pytest.raises(KeyboardInterrupt):
                render_site(store, target)
        write_site(target, {"mixed3b_1.html": b"half", "data/mixed3b_1.json": b"half"})
        store.put_record(keys.ATLAS, replace(atlas, layers=atlas.layers[:2]))
        render_site(store, target)
        assert not list(target.rglob("mixed3b_1.*"))
        store.put_record(keys.ATLAS, atlas)
        render_site(store, target)
        render_site(store, tmp_path / "undisturbed")
        assert tree(target) == tree(tmp_path / "undisturbed")


class TestRefused:
    def test_a_file(self, store: Store, tmp_path: Path) -> None:
        """A site path that is a file is named, and the file kept."""
        (tmp_path / "site").write_text("mine")
        with pytest.raises(SiteError, match=r"site.*found a file, expected a folder"):
            render_site(store, tmp_path / "site")
        assert (tmp_path / "site").read_text() == "mine"

    def test_below_a_file(self, store: Store, tmp_path: Path) -> None:
        """So is a path that leads through a file."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(SiteError, match="a part of the path is a file"):
            render_site(store, tmp_path / "file" / "site")

    @pytest.mark.parametrize("name", ["index.html", "method.html", "notes.txt", "data"])
    def test_somebody_s_files(self, store: Store, tmp_path: Path, name: str) -> None:
        """A folder with files, or folders, and no atlas is left alone."""
        write_site(tmp_path / "site", {f"{name}/x" if name == "data" else name: b"<title>mine</title>"})
        before = tree(tmp_path / "site")
        with pytest.raises(SiteError, match=f"found {name}, which no atlas wrote, expected an empty folder"):
            render_site(store, tmp_path / "site")
        assert tree(tmp_path / "site") == before

    @pytest.mark.parametrize("name", ["mixed3b_1.html", "data/mixed3b_1.json", "images/neuron/mixed3b_1.jpg"])
    def test_somebody_s_file_in_an_atlas(self, store: Store, tmp_path: Path, name: str) -> None:
        """In an atlas too, a file that no render wrote is not replaced by a new page, picture or data."""
        site, atlas = tmp_path / "site", store.record(keys.ATLAS, AtlasRecord)
        assert atlas.layers[2].layer == "mixed3b"
        store.put_record(keys.ATLAS, replace(atlas, layers=atlas.layers[:2]))
        render_site(store, site)
        write_site(site, {name: b"mine"})
        before = tree(site)
        store.put_record(keys.ATLAS, atlas)
        with pytest.raises(SiteError, match=f"found {name}, which no atlas wrote; move it away"):
            render_site(store, site)
        assert tree(site) == before

    def test_what_hosts_keep_beside_a_site_is_no_hindrance(self, store: Store, tmp_path: Path) -> None:
        """Hidden files, a CNAME and a README may be there before the first page, and stay."""
        beside = dict.fromkeys((".nojekyll", ".git/HEAD", "CNAME", "README.md"), b"mine")
        render_site(store, write_site(tmp_path / "site", beside))
        assert beside.items() <= tree(tmp_path / "site").items()

    def test_a_full_disk(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the operating system says is told in words."""

        def full(self: site_folder.SiteFolder, path: str, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(site_folder.SiteFolder, "_replace", full)
        with pytest.raises(SiteError, match="the disk is full"):
            render_site(store, tmp_path / "site")

    def test_a_folder_that_may_not_be_written(self, store: Store, tmp_path: Path) -> None:
        """No permission is told as such."""
        if os.geteuid() == 0:
            pytest.skip("the administrator may write everywhere")
        (tmp_path / "site").mkdir(mode=0o500)
        with pytest.raises(SiteError, match="no permission"):
            render_site(store, tmp_path / "site")

    def test_a_link_out_of_the_site(self, store: Store, tmp_path: Path) -> None:
        """A folder of the site that is a link is not followed."""
        (tmp_path / "elsewhere").mkdir()
        render_site(store, tmp_path / "site")
        shutil.rmtree(tmp_path / "site/images")
        (tmp_path / "site/images").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SiteError, match="leads out of the site"):
            render_site(store, tmp_path / "site")
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_two_renders_at_once(self, store: Store, tmp_path: Path) -> None:
        """A second render of a site that is being written waits for nobody and spoils nothing."""
        with site_folder.open_site(tmp_path / "site"), pytest.raises(SiteError, match="by another process"):
            render_site(store, tmp_path / "site")

    def test_a_damaged_artefact(self, store: Store, tmp_path: Path) -> None:
        """A picture whose bytes are not the ones that were put is named, not shown."""
        (store.folder / keys.featurevis("neuron", "mixed3b", 4)).write_bytes(b"not a picture")
        with pytest.raises(DamagedError, match=r"mixed3b/4\.jpg"):
            render_site(store, tmp_path / "site")


def test_progress_counts_up_to_the_end(store: Store, tmp_path: Path) -> None:
    """Progress is told for every page and picture, up to the total."""
    told: list[tuple[int, int]] = []
    render_site(store, tmp_path / "site", progress=lambda done, total: told.append((done, total)))
    total = told[0][1]
    assert told == [(at + 1, total) for at in range(total)]


def test_other_templates_make_all_pages_stale(
    store: Store, tmp_path: Path, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash of the templates' text is part of every page's state."""
    from atlas.site.folder import assets
    from atlas.site.writing import site

    render_site(store, tmp_path / "site")
    templates = tmp_path / "templates"
    shutil.copytree(assets.template_folder(), templates)
    neuron = templates / "neuron.html"
    neuron.write_text(
        neuron.read_text().replace("NMF factors", "Factors").replace("Inputs (upstream)", "From")
    )
    monkeypatch.setattr(site, "template_folder", lambda: templates)
    written = render_site(store, tmp_path / "site").written
    assert set(written) - LISTS == {p.name for p in (tmp_path / "site").glob("*_*.html")}
