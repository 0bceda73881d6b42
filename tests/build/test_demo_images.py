from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.build.demo_images import write_drawings
from atlas.core.errors import ExamplesError
from atlas.model.demo.drawings import KINDS, SIZE


class TestWriteDrawings:
    def test_every_class_is_drawn(self, tmp_path: Path) -> None:
        """Each class has its files, named after it, of the network's size."""
        write_drawings(tmp_path, count=2 * len(KINDS))
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == sorted(f"{k.label.replace(' ', '_')}_{i:02}.png" for k in KINDS for i in (0, 1))
        assert np.asarray(Image.open(tmp_path / names[0])).shape == (SIZE, SIZE, 3)

    def test_only_what_lacks_is_written(self, tmp_path: Path) -> None:
        """A drawing that is there stays as it is; one that is gone comes back the same."""
        write_drawings(tmp_path, count=3)
        first, second, _ = sorted(tmp_path.iterdir())
        before, times = second.read_bytes(), first.stat().st_mtime_ns
        second.unlink()
        write_drawings(tmp_path, count=3)
        assert second.read_bytes() == before
        assert first.stat().st_mtime_ns == times

    def test_a_full_disk_is_told(self, tmp_path: Path) -> None:
        """Where there is no room, the folder and the reason are told in a line."""
        (tmp_path / f"{KINDS[0].label.replace(' ', '_')}_00.aside").symlink_to("/dev/full")
        with pytest.raises(ExamplesError, match=r"cannot write the drawings .*: the disk is full$"):
            write_drawings(tmp_path, count=1)
