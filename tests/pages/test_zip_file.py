"""Zip files are read by everybody and hold no clock."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atlas.pages.zip_file import stored_zip

NAMES = st.text("abcdefghij_.", min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=9))
def test_zipfile_reads_it(members: dict[str, bytes]) -> None:
    """Python's zipfile finds every member whole, in order, with good checksums."""
    with zipfile.ZipFile(io.BytesIO(stored_zip(members))) as archive:
        assert archive.namelist() == list(members)
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in members} == members


def test_numpy_reads_arrays() -> None:
    """An .npy member is an array to numpy.load."""
    out = io.BytesIO()
    np.save(out, np.arange(6).reshape(2, 3))
    with np.load(io.BytesIO(stored_zip({"a.npy": out.getvalue()}))) as arrays:
        assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_dates_are_the_format_s_first_day() -> None:
    """No clock is in the bytes."""
    with zipfile.ZipFile(io.BytesIO(stored_zip({"a": b"1"}))) as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
