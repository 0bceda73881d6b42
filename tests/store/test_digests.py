"""Digests of files outside the store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from atlas.store.digests import DIGESTS, Digests


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a few bytes."""
    path = tmp_path / "image.png"
    path.write_bytes(b"pixels")
    return path


class TestDigests:
    """of() and save()."""

    def test_it_is_the_sha256(self, file: Path, tmp_path: Path) -> None:
        """A file's digest is that of its bytes, whatever its times."""
        digest = hashlib.sha256(b"pixels").hexdigest()
        assert Digests(tmp_path / DIGESTS).of(file) == digest
        os.utime(file, ns=(1, 1))
        assert Digests(tmp_path / DIGESTS).of(file) == digest

    def test_a_change_is_noticed(self, file: Path, tmp_path: Path) -> None:
        """New bytes of the same length give a new digest, also after the old one was saved."""
        digests = Digests(tmp_path / DIGESTS)
        before = digests.of(file)
        digests.save()
        file.write_bytes(b"PIXELS")
        assert Digests(tmp_path / DIGESTS).of(file) == hashlib.sha256(b"PIXELS").hexdigest() != before

    def test_a_known_file_is_not_read(self, file: Path, tmp_path: Path) -> None:
        """What was saved is believed while size and times stay."""
        digests = Digests(tmp_path / DIGESTS)
        digest = digests.of(file)
        digests.save()
        text = (tmp_path / DIGESTS).read_text()
        (tmp_path / DIGESTS).write_text(text.replace(digest, "remembered"))
        assert Digests(tmp_path / DIGESTS).of(file) == "remembered"

    def test_a_broken_memory_is_forgotten(self, file: Path, tmp_path: Path) -> None:
        """A damaged file of digests costs reading again, no more."""
        (tmp_path / DIGESTS).write_bytes(b"\xff{")
        assert Digests(tmp_path / DIGESTS).of(file) == hashlib.sha256(b"pixels").hexdigest()
