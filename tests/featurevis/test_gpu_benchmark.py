"""The benchmark of a GPU on a machine that has none: what it refuses, and what it makes of figures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks import gpu

ROW = {
    "cpu": {"batch": 16, "precision": "bfloat16", "seconds": 2.0, "channels": 100},
    "gpu": {
        "layer": "mixed5b",
        "channels": 100,
        "neurons": list(range(64)),
        "px": 150,
        "batch": 64,
        "precision": "float32",
        "seconds": 0.05,
        "peak": 5 << 30,
        "busy": 93.6,
    },
    "objective": 0.987,
}


def test_no_gpu_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything is drawn."""
    monkeypatch.setattr("sys.argv", ["gpu.py", "--model", "demo", "--layers", "mixed3a"])
    monkeypatch.setattr(gpu, "on_gpu", lambda: False)
    with pytest.raises(SystemExit, match=r"^no GPU: .*pip install 'tensorflow\[and-cuda\]'.*$"):
        gpu.main()


def test_a_row_and_the_whole_network() -> None:
    """As many cells as the head has; neurons of all layers, at their layers' rates."""
    line = gpu.line(ROW)
    assert line.count("|") == gpu.HEAD.splitlines()[0].count("|") == gpu.HEAD.splitlines()[1].count("|")
    assert line.endswith("| 2.000 | 0.0500 | 40.0 | 0.987 | 5.0 GiB | 94 % |")
    assert gpu.whole([ROW] * 18).strip() == (
        "1,800 neurons: 0.03 h on the GPU, 1.00 h on the processor, 40.0 times"
    )


def test_how_busy_it_is_is_read_while_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nvidia-smi, which prints until it is ended; not of a processor."""
    monkeypatch.setattr(gpu, "on_gpu", lambda: True)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "nvidia-smi").write_text(
        "#!/bin/sh\necho 97\necho '[N/A]'\necho 99\ntouch $0.told\nexec sleep 60"
    )
    (tmp_path / "nvidia-smi").chmod(0o755)
    with gpu.utilisation() as busy:
        while not (tmp_path / "nvidia-smi.told").exists():
            pass
    assert busy == [97, 99]
    monkeypatch.setattr(gpu, "on_gpu", lambda: False)
    with gpu.utilisation() as busy:
        pass
    assert busy == []
