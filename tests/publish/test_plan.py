"""What a publish has to do follows from the local files and what the target holds, and from nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.publish.headers import is_page
from atlas.publish.manifest import ManifestEntry
from atlas.publish.plan import LocalFile, PublishPlan, Remote, plan_publish, size

KEYS = ["index.html", "a.html", "b.html", "images/neuron/a.jpg", "data/a.json", "static/x.0123456789ab.css"]


def local(key: str, content: str = "1", n_bytes: int = 3) -> LocalFile:
    return LocalFile(ManifestEntry(content * 64, f"type of {key}", "no-cache"), n_bytes)


def remote_of(files: dict[str, LocalFile], **extra: int) -> Remote:
    """Return a target after these files were published, with foreign files beside them."""
    entries = {key: file.entry for key, file in files.items()}
    sizes = {key: file.size for key, file in files.items()}
    return Remote(entries, frozenset(entries), sizes | {k.replace("__", "."): v for k, v in extra.items()})


FILES = {key: local(key) for key in KEYS}


class TestDifference:
    def test_an_empty_target_takes_all(self) -> None:
        """Everything is added, and the bytes are the files'."""
        plan = plan_publish(FILES, Remote({}, frozenset(), {}))
        assert plan.added == tuple(sorted(KEYS))
        assert (plan.changed, plan.unchanged, plan.deleted, plan.foreign) == ((), (), (), ())
        assert plan.n_bytes == 3 * len(KEYS)
        assert not plan.nothing_to_do

    def test_the_same_site_is_nothing_to_do(self) -> None:
        """What a publish left is unchanged."""
        plan = plan_publish(FILES, remote_of(FILES))
        assert plan.unchanged == tuple(sorted(KEYS))
        assert plan.nothing_to_do
        assert plan.n_bytes == 0

    @pytest.mark.parametrize("field", ManifestEntry._fields)
    def test_bytes_and_headers_count(self, field: str) -> None:
        """A file is sent again when its bytes, its type or its cache header differ."""
        then = FILES | {"a.html": LocalFile(FILES["a.html"].entry._replace(**{field: "other"}), 3)}
        plan = plan_publish(FILES, remote_of(then))
        assert (plan.added, plan.changed) == ((), ("a.html",))

    def test_a_wrong_size_and_a_lost_file_are_sent_again(self) -> None:
        """The manifest is not believed where the target's own list contradicts it."""
        remote = remote_of(FILES)
        sizes = {key: n for key, n in remote.sizes.items() if key != "a.html"} | {"b.html": 2}
        plan = plan_publish(FILES, Remote(remote.entries, remote.published, sizes))
        assert (plan.added, plan.changed) == (("a.html",), ("b.html",))

    def test_an_unknown_size_is_believed(self) -> None:
        """A target that tells no sizes, as a commit's tree, is complete by itself."""
        remote = remote_of(FILES)
        plan = plan_publish(FILES, Remote(remote.entries, remote.published, dict.fromkeys(KEYS)))
        assert plan.nothing_to_do

    def test_what_an_interrupted_publish_left_open_is_sent_again(self) -> None:
        """A file whose bytes are not known for sure counts as changed, and is no foreign file."""
        remote = remote_of(FILES)
        entries = {**remote.entries, "a.html": None}
        plan = plan_publish(FILES, Remote(entries, frozenset(), remote.sizes, interrupted=True))
        assert plan.changed == ("a.html",)
        assert plan.foreign == ()

    def test_an_interrupted_publish_is_never_nothing_to_do(self) -> None:
        """Even if all is there, the manifest has still to be written."""
        remote = remote_of(FILES)
        again = Remote(remote.entries, frozenset(), remote.sizes, interrupted=True)
        assert not plan_publish(FILES, again).nothing_to_do


class TestStale:
    def test_what_a_manifest_lists_and_the_site_lacks_is_deleted(self) -> None:
        """And no other file, whatever its name."""
        then = FILES | {"old.jpg": local("old.jpg")}
        plan = plan_publish(FILES, remote_of(then, mine__txt=7))
        assert plan.deleted == ("old.jpg",)
        assert plan.foreign == ("mine.txt",)

    def test_what_is_gone_already_is_forgotten(self) -> None:
        """A stale file that somebody removed needs no deletion, but a new manifest."""
        then = FILES | {"old.jpg": local("old.jpg")}
        remote = remote_of(then)
        sizes = {key: n for key, n in remote.sizes.items() if key != "old.jpg"}
        plan = plan_publish(FILES, Remote(remote.entries, remote.published, sizes))
        assert plan.deleted == ()
        assert not plan.nothing_to_do
        assert "old.jpg" not in plan.final

    def test_kept_files_stay_listed(self) -> None:
        """With keep_stale nothing is deleted, no page is broken, and a later publish still may delete."""
        then = FILES | {"old.html": local("old.html")}
        plan = plan_publish(FILES, remote_of(then), keep_stale=True)
        assert (plan.deleted, plan.kept, plan.broken) == ((), ("old.html",), ())
        assert plan.nothing_to_do
        assert plan.final["old.html"] == then["old.html"].entry


class TestForeign:
    def test_an_unlisted_file_at_an_address_of_the_site(self) -> None:
        """It is somebody else's until it is said that the site may have it."""
        plan = plan_publish(FILES, Remote({}, frozenset(), {"a.html": 3, "mine.txt": 1}))
        assert plan.foreign == ("a.html", "mine.txt")
        assert plan.covered == ("a.html",)
        (refusal,) = plan.refusals(allow_foreign=False, allow_broken_links=True)
        assert "2 files that no publish put there, 1 of them at an address of the site" in str(refusal)
        assert plan.refusals(allow_foreign=True, allow_broken_links=False) == []

    def test_hidden_files_and_folders_marks_do_not_count(self) -> None:
        """Neither dot files nor the empty objects that consoles make of folders are foreign."""
        sizes = {".htaccess": 3, "images/.x": 1, "images/neuron": 0, "data": 0}
        assert plan_publish(FILES, Remote({}, frozenset(), sizes)).foreign == ()
        assert plan_publish(FILES, Remote({}, frozenset(), {"data": 1})).foreign == ("data",)


class TestLinks:
    def test_a_lost_page_is_refused(self) -> None:
        """Only pages count, and only those of a publish that ended."""
        then = FILES | {"old.html": local("old.html"), "old.jpg": local("old.jpg")}
        plan = plan_publish(FILES, remote_of(then))
        assert plan.broken == ("old.html",)
        (refusal,) = plan.refusals(allow_foreign=True, allow_broken_links=False)
        assert "old.html" in str(refusal)
        assert "redirects" in str(refusal)
        assert plan.refusals(allow_foreign=False, allow_broken_links=True) == []

    def test_small_pages_that_packing_leaves_out_name_the_setting(self) -> None:
        """A site that is packed for the first time lacks them; it can be as it was before."""
        plan = plan_publish(FILES, remote_of(FILES | {"embed/a_1.html": local("embed/a_1.html")}))
        (refusal,) = plan.refusals(allow_foreign=True, allow_broken_links=False)
        assert "--packed never" in str(refusal)

    def test_a_page_of_an_unfinished_publish_is_no_promise(self) -> None:
        """What no manifest listed was never promised to stay."""
        then = FILES | {"old.html": local("old.html")}
        remote = remote_of(then)
        assert plan_publish(FILES, Remote(remote.entries, frozenset(), remote.sizes)).broken == ()


class TestOrder:
    def test_pages_come_after_what_they_show(self) -> None:
        """First assets, pictures and data, then new pages, then those that lead there, the home page last."""
        then = {"b.html": local("b.html", "0"), "index.html": local("index.html", "0")}
        phases = list(plan_publish(FILES, remote_of(then)).phases())
        assert phases == [
            ("data/a.json", "images/neuron/a.jpg", "static/x.0123456789ab.css"),
            ("a.html",),
            ("b.html",),
            ("index.html",),
        ]

    def test_every_file_has_its_place(self) -> None:
        """The phases hold each file once."""
        plan = plan_publish(FILES, Remote({}, frozenset(), {}))
        assert sorted(itertools.chain(*plan.phases())) == sorted(KEYS)


ENTRIES = st.sampled_from([ManifestEntry(c * 64, "t", "c") for c in "123"])
NAMES = st.sampled_from(["index.html", "a.html", "b.html", "x.jpg", "y/z.json"])
SITES = st.dictionaries(NAMES, st.builds(LocalFile, ENTRIES, st.integers(0, 2)))


class TestAnyTarget:
    @given(
        files=SITES,
        entries=st.dictionaries(NAMES, st.none() | ENTRIES),
        sizes=st.dictionaries(NAMES, st.integers(0, 2)),
        keep=st.booleans(),
    )
    def test_done_once_is_done(
        self,
        files: dict[str, LocalFile],
        entries: dict[str, ManifestEntry | None],
        sizes: dict[str, int],
        keep: bool,
    ) -> None:
        """After a plan is carried out the site is there, foreign files too, and nothing is left to do."""
        remote = Remote(entries, frozenset(k for k in entries if is_page(k)), sizes)
        plan = plan_publish(files, remote, keep_stale=keep)
        after = carried_out(plan, remote)
        again = plan_publish(files, after, keep_stale=keep)
        assert again.nothing_to_do
        assert again.refusals(allow_foreign=True, allow_broken_links=False) == []
        assert all(after.sizes[key] == file.size for key, file in files.items())
        assert {key for key in sizes if key not in entries} <= after.sizes.keys()


def carried_out(plan: PublishPlan, remote: Remote) -> Remote:
    """Return what a target holds after a plan."""
    sizes = {key: n for key, n in remote.sizes.items() if key not in plan.deleted}
    sizes |= {key: plan.files[key].size for phase in plan.phases() for key in phase}
    return Remote(plan.final, frozenset(plan.final), sizes)


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1234, "1.23 kB"),
        (999_700, "1 MB"),
        (205_000_000, "205 MB"),
        (2 * 10**12, "2 TB"),
    ],
)
def test_sizes_in_words(n_bytes: int, told: str) -> None:
    """Three digits and a unit."""
    assert size(n_bytes) == told
