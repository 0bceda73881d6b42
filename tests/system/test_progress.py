"""How far a stage is, on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys
import time

import pytest

from atlas.system import progress


class Terminal(io.StringIO):
    """A stand-in for a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


class TestBar:
    """bar() and counter()."""

    def test_lines_elsewhere(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a terminal, a stage is a line at its start and one at its end, on standard error."""
        with progress.bar("factors", 3, unit="neurons") as step:
            step(1)
            step(2)
        out, err = capsys.readouterr()
        assert out == ""
        assert "\r" not in err
        first, last = err.splitlines()
        assert first == "factors: 3 neurons to do"
        assert last.startswith("factors: 3 neurons in 0.")

    def test_long_stages_tell_rate_and_time_left(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A line now and then says how many are done, how fast, and how long it will take."""
        seconds = iter([0.0, 4.0, 20.0, 24.0, 40.0])
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
        with progress.bar("factors", 10) as step:
            for _ in range(3):
                step(2)
        assert capsys.readouterr().err.splitlines()[1:] == [
            "factors: 4 of 10 neurons, 0.2/s, 30 s left",
            "factors: 6 neurons in 40.0 s",
        ]

    def test_the_time_left_follows_costs(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Six units of ten cost a tenth of the whole: nine times as long is left, not two thirds."""
        seconds = iter([0.0, 12.0, 40.0, 120.0])
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
        with progress.bar("pictures", 10, cost=60.0) as step:
            step(6, 6.0)
            step(3, 42.0)
        assert capsys.readouterr().err.splitlines()[1:-1] == [
            "pictures: 6 of 10 neurons, 0.5/s, 108 s left",
            "pictures: 9 of 10 neurons, 0.2/s, 10 s left",
        ]

    def test_a_terminal_shows_the_same_time_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tqdm's own time left would be that of the units."""
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.bar("pictures", 10, cost=60.0) as step:
            now = time.monotonic()
            monkeypatch.setattr(progress.time, "monotonic", lambda: now + 60)
            step(6, 6.0)
        first, *_, last = terminal.getvalue().split("\r")[1:]
        assert "<?" in first
        assert "<09:0" in last
        assert "6/10" in last

    def test_a_bar_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal gets one bar that moves to its end, with the stage's name and unit."""
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.bar("factors", 4, unit="neurons") as step:
            step(4)
        assert "\r" in terminal.getvalue()
        assert "factors: 100%" in terminal.getvalue()
        assert "4/4" in terminal.getvalue()

    def test_nothing_to_do_is_silent(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A stage without units shows nothing."""
        with progress.bar("factors", 0) as step:
            step(0)
        with progress.counter("site", unit="files"):
            pass
        assert capsys.readouterr() == ("", "")

    def test_an_interrupted_stage_does_not_claim_its_end(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A stage that failed prints no line of success."""
        with pytest.raises(KeyboardInterrupt), progress.bar("factors", 3):
            raise KeyboardInterrupt
        assert capsys.readouterr().err == "factors: 3 neurons to do\n"

    def test_a_counter_learns_its_total(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A stage that tells (done, total) becomes a bar of that total."""
        with progress.counter("site", unit="files") as count:
            for done in (1, 2, 5):
                count(done, 5)
        first, last = capsys.readouterr().err.splitlines()
        assert first == "site: 5 files to do"
        assert last.startswith("site: 5 files in ")
