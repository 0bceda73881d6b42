"""The zip files beside the pages are what other programs take for zip files."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.site.data.zip_bytes import zip_bytes

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_.", min_size=1, max_size=30)


@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=3000), st.booleans()), max_size=8))
def test_the_standard_library_reads_it(members: dict[str, tuple[bytes, bool]]) -> None:
    """Names, order, bytes, sums and methods come back, whatever the content."""
    data = {name: content for name, (content, _) in members.items()}
    packed = {name for name, (_, deflate) in members.items() if deflate}
    with zipfile.ZipFile(io.BytesIO(zip_bytes(data, compressed=packed))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(data)
        assert {name: archive.read(name) for name in archive.namelist()} == data
        for info in archive.infolist():
            assert (info.compress_type == zipfile.ZIP_DEFLATED) == (info.filename in packed)
            assert (info.date_time, info.create_system) == ((1980, 1, 1, 0, 0, 0), 3)
            assert info.external_attr == 0o100644 << 16


def test_unzip_reads_it(tmp_path: Path) -> None:
    """Info-ZIP finds no fault in it."""
    if shutil.which("unzip") is None:
        pytest.skip("no unzip")
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a": b"x" * 99, "b": b""}, compressed={"a"}))
    done = subprocess.run(["unzip", "-t", "a.zip"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "No errors detected" in done.stdout


def test_too_many_members_are_refused() -> None:
    """What the plain format cannot hold is no silent nonsense."""
    with pytest.raises(struct.error):
        zip_bytes({str(n): b"" for n in range(1 << 16)})
