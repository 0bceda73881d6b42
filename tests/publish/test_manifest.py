"""A manifest says what a publish put, and is believed only as far as it can be."""

from __future__ import annotations

import json

import pytest

from atlas.core.errors import PublishError
from atlas.publish.manifest import Manifest, ManifestEntry, decode, encode, is_hidden, is_key

ENTRY = ManifestEntry("9f" * 32, "text/html; charset=utf-8", "public, max-age=300")


def test_round_trip() -> None:
    """What is written is read back, nulls too; the form is the one that is told."""
    data = encode("run", {"b.html": None, "a.html": ENTRY})
    assert decode(data, name="m") == Manifest(run="run", files={"a.html": ENTRY, "b.html": None})
    assert json.loads(data) == {
        "format": 1,
        "run": "run",
        "files": {"a.html": ["9f" * 32, "text/html; charset=utf-8", "public, max-age=300"], "b.html": None},
    }


@pytest.mark.parametrize("data", [b"", b"{", b'{"files": {"a": 3}}', b'{"files": []}', b"\xff", b"[1]"])
def test_damage_is_told(data: bytes) -> None:
    """A manifest that cannot be read is named, and nothing is deleted or sent by it."""
    with pytest.raises(PublishError, match=r"cannot read \.atlas-publish/manifest\.json in the target"):
        decode(data, name=".atlas-publish/manifest.json")


def test_a_newer_format_is_told() -> None:
    """A version that does not know the form leaves the target alone."""
    with pytest.raises(PublishError, match="found format 2"):
        decode(b'{"format": 2, "files": {}}', name="m")


@pytest.mark.parametrize(
    "key", ["../x", "/etc/hostname", "a/../b", ".git/config", "a//b", "a\\b", "a\nb", "", "a/"]
)
def test_a_manifest_has_no_power_over_what_is_not_of_a_site(key: str) -> None:
    """Addresses that lead out of the target, and hidden files, are refused: they would be deleted."""
    assert not is_key(key)
    with pytest.raises(PublishError, match="addresses of a site"):
        decode(json.dumps({"files": {key: None}}).encode(), name="m")


def test_hidden() -> None:
    """Hidden is what has a part that begins with a dot."""
    assert all(map(is_hidden, (".x", "a/.b", ".a/b")))
    assert not any(map(is_hidden, ("a.b", "a/b.c", "a")))
