"""The arrays beside a page carry no clock and no platform."""

from __future__ import annotations

import zipfile
from pathlib import Path


def test_dates_and_systems_are_fixed(rendered: Path) -> None:
    """Every member of every .npz is dated the zip format's first day, and whole."""
    found = sorted(rendered.glob("data/*.npz"))
    assert len(found) == 15
    for path in found:
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            stamps = {(info.date_time, info.create_system) for info in archive.infolist()}
        assert stamps == {((1980, 1, 1, 0, 0, 0), 3)}
