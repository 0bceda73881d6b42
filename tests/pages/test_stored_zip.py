"""The zip files beside pages are zipfile's, byte for byte."""

from __future__ import annotations

import io
import zipfile

import pytest

from atlas.pages.stored_zip import stored_zip


@pytest.mark.parametrize(
    "members", [{}, {"a.npy": b""}, {"upstream_index.npy": b"\x93NUMPY", "b": bytes(range(256)) * 999}]
)
def test_the_bytes_are_those_of_zipfile(members: dict[str, bytes]) -> None:
    """Members keep their order, their bytes and nothing of the machine."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            # ZipInfo's own date is 1980-01-01; its system is that of the machine unless set.
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            archive.writestr(info, data)
    assert stored_zip(members) == out.getvalue()
