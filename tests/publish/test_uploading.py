"""A bucket receives a site whole, in the right order, whatever its server does wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from atlas.core.errors import PublishError
from atlas.publish import manifest, object_store, publication
from atlas.publish.headers import cache_control, content_type, is_page
from atlas.publish.manifest import JOURNAL, MANIFEST
from faulty_s3 import FAULTS, FaultyS3, Stored
from publishing import PREFIX, Publisher, expected, objects, planned, sent
from sites import broken, site_contents, write_site

# A git remote or a server of its own for each test.
pytestmark = pytest.mark.slow


class TestSite:
    def test_all_of_it_arrives(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """Every file with its bytes and headers, the manifest, and no journal."""
        publisher(site)
        assert objects(s3) == expected(site)
        for key, stored in s3.objects.items():
            name = key.removeprefix(PREFIX)
            if not manifest.is_hidden(name):
                headers = {n.lower(): v for n, v in stored.headers.items()}
                assert (headers["content-type"], headers["cache-control"]) == (
                    content_type(name),
                    cache_control(name),
                )
        own = {key.removeprefix(PREFIX) for key in s3.objects if "/.atlas-publish/" in f"/{key}"}
        assert own == {MANIFEST}

    def test_a_plan_alone_changes_nothing(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """Without applying it only GETs are sent."""
        assert planned(publisher(site, apply=False)) == (len(expected(site)), 0, 0, 0)
        assert {method for method, _ in s3.log} == {"GET"}

    def test_the_second_time_nothing_is_sent(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """No PUT and no deletion, and the plan says so."""
        publisher(site)
        s3.log.clear()
        found = publisher(site)
        assert found.plan.nothing_to_do
        assert {method for method, _ in s3.log} == {"GET"}

    def test_a_change_sends_its_files(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """One changed picture is one upload, beside the notes."""
        publisher(site)
        s3.log.clear()
        (site / "data" / "mixed3b_3.json").write_bytes(b"[]")
        assert planned(publisher(site)) == (0, 1, len(expected(site)) - 1, 0)
        assert sent(s3) == ["data/mixed3b_3.json"]
        assert objects(s3) == expected(site)

    def test_what_is_stale_goes(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """After another edition the first one's pictures and style are gone; others' files stay."""
        publisher(site)
        s3.objects[PREFIX + "mine.txt"] = Stored(b"mine", {})
        s3.objects["papers/other.html"] = Stored(b"other", {})
        for path in [*site.glob("static/*"), *site.glob("images/neuron/*")]:
            path.unlink()
        write_site(site, site_contents(edition=2))
        assert planned(publisher(site)) == (7, 10, 6, 7)
        assert objects(s3) == expected(site) | {"mine.txt": b"mine"}
        assert s3.objects["papers/other.html"].data == b"other"

    def test_stale_files_are_kept_when_told(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """And a later publish without the option removes them."""
        publisher(site)
        (site / "data" / "mixed3b_1.json").unlink()
        publisher(site, keep_stale=True)
        assert "data/mixed3b_1.json" in objects(s3)
        publisher(site)
        assert objects(s3) == expected(site)

    def test_a_bucket_without_a_prefix(self, s3: FaultyS3, site: Path) -> None:
        """The site lies in the bucket's root."""
        Publisher("s3://bucket", s3.url)(site)
        assert {key for key in s3.objects if not manifest.is_hidden(key)} == expected(site).keys()


class TestOrder:
    def test_visitors_never_see_a_broken_site(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """After every single change of a second publish each page finds its pictures and linked pages."""
        publisher(site)
        write_site(site, site_contents(8, edition=2))
        for path in site.rglob("*-1.jpg"):
            path.unlink()
        state, seen = dict(s3.objects), 0
        before, s3.log[:] = dict(state), []
        publisher(site)
        done = [(method, key) for method, key in s3.log if method in ("PUT", "POST")]
        state = {key: stored.data for key, stored in before.items()}
        for method, key in done:
            if method == "PUT":
                state[key] = s3.objects[key].data if key in s3.objects else b"{}"
            else:
                state = {k: v for k, v in state.items() if k in s3.objects}
            visible = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
            assert broken({k: v for k, v in visible.items() if not manifest.is_hidden(k)}) == []
            seen += 1
        assert seen > 20

    def test_the_manifest_comes_after_pages_and_before_deletions(
        self, s3: FaultyS3, publisher: Publisher, site: Path
    ) -> None:
        """First the journal, then pictures, pages, the home page, the manifest, at last deletions."""
        publisher(site)
        s3.log.clear()
        write_site(site, site_contents(edition=2))
        (site / "data" / "mixed3b_0.json").unlink()
        publisher(site)
        changes = [(m, key.removeprefix(PREFIX)) for m, key in s3.log if m != "GET"]
        keys = [key for _, key in changes]
        assert keys[0] == JOURNAL
        pages = [at for at, key in enumerate(keys) if is_page(key)]
        shown = [
            at for at, key in enumerate(keys) if not is_page(key) and not manifest.is_hidden(key) and key
        ]
        at_manifest = keys.index(MANIFEST)
        deletions = [at for at, (method, _) in enumerate(changes) if method in ("POST", "DELETE")]
        assert max(shown) < min(pages)
        assert keys[max(pages)] == "index.html"
        assert max(pages) < at_manifest < min(deletions)

    def test_a_page_that_goes_keeps_its_pictures_until_then(
        self, s3: FaultyS3, publisher: Publisher, site: Path
    ) -> None:
        """Pages are deleted before what they show."""
        publisher(site)
        for path in site.rglob("mixed3b_*"):
            path.unlink()
        write_site(site, site_contents(3))
        publisher(site)
        pages = [is_page(key) for key in s3.deleted if not manifest.is_hidden(key.removeprefix(PREFIX))]
        assert pages == [True] * 3 + [False] * 6

    def test_many_are_sent_at_once(self, s3: FaultyS3, publisher: Publisher, tmp_path: Path) -> None:
        """32 uploads are under way together."""
        s3.hold, s3.spared = 32, ".atlas-publish"
        publisher(write_site(tmp_path / "large", site_contents(30)), timeout=20)
        assert s3.busiest == 32


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_fault_is_survived(self, s3: FaultyS3, publisher: Publisher, site: Path, fault: str) -> None:
        """A third of what can fail in one way fails, three times at least, and each edition arrives whole."""
        s3.slow = 0.6
        timeout = 0.3 if fault == "slow" else 5.0
        s3.faults = {fault: 0.33}
        # Lists are few, so that it takes some editions until three of them have failed.
        for edition in range(1, 11):
            write_site(site, site_contents(edition=edition))
            publisher(site, timeout=timeout)
            assert objects(s3) == expected(site)
            if s3.n_faults.get(fault, 0) >= 3:
                break
        assert s3.n_faults[fault] >= 3
        s3.faults = {}
        assert publisher(site).plan.nothing_to_do

    @pytest.mark.parametrize(("n_lost", "arrives"), [(6, True), (7, False)])
    def test_a_file_is_sent_seven_times(
        self,
        s3: FaultyS3,
        publisher: Publisher,
        site: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        n_lost: int,
        arrives: bool,
    ) -> None:
        """The last time counts: what arrives whole then is there, and else it is told."""
        page = f"/{PREFIX}mixed3b_1.html"
        faults = iter(["lose"] * n_lost)
        monkeypatch.setattr(
            s3, "fault", lambda method, path: next(faults, "") if method == "PUT" and page in path else ""
        )
        if arrives:
            publisher(site)
            assert objects(s3) == expected(site)
        else:
            with pytest.raises(PublishError, match="do not arrive whole, like mixed3b_1"):
                publisher(site)
        assert s3.puts().count(page[1:]) == 7

    def test_all_faults_together(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """A third of the requests fail, each in its own way, while the site changes five times."""
        s3.faults, s3.slow = dict.fromkeys(FAULTS, 0.035), 0.05
        for edition in range(1, 6):
            for path in [*site.glob("static/*"), *site.glob("images/neuron/*")]:
                path.unlink()
            write_site(site, site_contents(edition=edition))
            publisher(site)
            assert objects(s3) == expected(site)
        assert set(s3.n_faults) == set(FAULTS)

    def test_slow_is_no_fault(self, s3: FaultyS3, publisher: Publisher, site: Path) -> None:
        """An answer that comes before the timeout is taken, nothing is sent twice."""
        s3.faults, s3.slow = {"slow": 0.3}, 0.1
        publisher(site)
        assert len(sent(s3)) == len(expected(site))
        assert publisher.patience.n_again == 0

    @pytest.mark.parametrize(
        ("fault", "told"), [("503", "SlowDown"), ("drop", "sending request"), ("lose", "do not arrive whole")]
    )
    def test_a_fault_that_stays_is_told(
        self, s3: FaultyS3, publisher: Publisher, site: Path, fault: str, told: str
    ) -> None:
        """It ends in words, soon, with what helps; pages are not touched before their pictures are there."""
        publisher(site)
        before = objects(s3)
        write_site(site, site_contents(edition=2))
        s3.faults, s3.spared = {fault: 1.0}, ".atlas-publish" if fault == "lose" else "none"
        start = time.monotonic()
        with pytest.raises(PublishError, match=told):
            publisher(site)
        assert time.monotonic() - start < 10
        pages = {key: data for key, data in objects(s3).items() if is_page(key)}
        assert pages == {key: data for key, data in before.items() if is_page(key)}

    def test_an_end_does_not_wait_for_what_fails(
        self, s3: FaultyS3, publisher: Publisher, site: Path
    ) -> None:
        """After Ctrl-C nothing is tried again: other uploads' long waits end at once."""
        access = publisher.access()
        access.patience.first = access.patience.longest = 20.0
        start = time.monotonic()
        with publication(site, publisher.address, access=access) as found:
            s3.faults, s3.spared = {"503": 0.5}, ".atlas-publish"

            def interrupt(_: int) -> None:
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                found.apply(run="mine", step=interrupt)
        assert access.patience.n_again > 0
        assert time.monotonic() - start < 8


class TestLists:
    def test_a_list_in_pages_goes_on_where_it_broke(
        self, s3: FaultyS3, publisher: Publisher, site: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long list is whole although every third page fails: what came is not asked for again."""
        publisher(site)
        monkeypatch.setattr(object_store, "_TAKEN", 2)
        s3.page, s3.faults = 2, {"503": 0.1, "drop": 0.1, "short": 0.1}
        s3.log.clear()
        assert publisher(site, apply=False).plan.nothing_to_do
        lists = [key for method, key in s3.log if method == "GET" and not key]
        n_pages = len(s3.objects) // 2 + 1
        assert n_pages <= len(lists) < 2 * n_pages


class TestTwoPublishers:
    def test_the_first_notices_the_second(
        self, s3: FaultyS3, publisher: Publisher, site: Path, tmp_path: Path
    ) -> None:
        """A publish that another one overtook ends before it writes a manifest."""
        with publication(site, publisher.address, access=publisher.access()) as first:
            other = manifest.encode("another", {})

            def interfere(_: int) -> None:
                s3.objects[PREFIX + JOURNAL] = Stored(other, {})

            with pytest.raises(PublishError, match="another publish"):
                first.apply(run="mine", step=interfere)
        assert PREFIX + MANIFEST not in s3.objects
