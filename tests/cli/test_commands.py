"""The command line: what each command says, does, and leaves behind."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from atlas import __version__
from atlas.build import freshness
from atlas.build.plan import STAGES
from atlas.cli import commands
from atlas.core.config import AtlasConfig
from atlas.model.graph.backend import tf
from atlas.store import Store
from atlases import n_artefacts, snapshot, toy_arguments
from graphs import conv, dense, graph_def

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(commands.main, arguments)


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, str(ROOT / "build.py"), *arguments]
    # A job that a shell runs in the background ignores Ctrl-C, and what it starts would too.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )


@pytest.fixture
def arguments(toy_graph: Path, toy_store: Path, tmp_path: Path) -> list[str]:
    """The toy network's arguments, with a copy of its store."""
    shutil.copytree(toy_store, tmp_path / "store")
    return toy_arguments(toy_graph, tmp_path / "store")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A frozen graph of two resolutions and 620 neurons, the classes left out."""

    def build(x: Any) -> None:
        y = conv(conv(x, 4, "stem"), 300, "wide", 1)
        y = conv(conv(y, 16, "down", stride=2), 300, "end", 1)
        dense(tf.reduce_mean(y, [1, 2], name="mean"), 5, "classes")

    path = tmp_path_factory.mktemp("large") / "large.pb"
    path.write_bytes(graph_def(build, (None, 16, 17, 3)).SerializeToString())
    return str(path)


class TestFirstContact:
    """What a newcomer sees who has a model and knows no layer of it."""

    @pytest.mark.parametrize("command", ["build", "compute"])
    def test_layers_of_a_large_network_are_offered(self, command: str, large: str, tmp_path: Path) -> None:
        """Without --layers nothing is begun; one line offers the natural choice, its neurons and time."""
        told = [
            "--model",
            large,
            "--value-range",
            "0,1",
            "--site",
            str(tmp_path / "site"),
            "--preset",
            "draft",
        ]
        result = run(command, *told)
        assert result.exit_code == 1
        offer = (
            "no layers are chosen, and all of large have 620 neurons: expected --layers auto, all, or names; "
            "auto is wide,end: the ends of resolutions and blocks, 600 neurons, about "
        )
        assert re.search(rf"^error: {re.escape(offer)}\d+ \w+ of drawing$", result.output, re.MULTILINE)
        assert not (tmp_path / "site").exists()

    def test_auto_begins(self, large: str, tmp_path: Path) -> None:
        """With --layers auto, and with any choice in the config file, the plan is of these layers."""
        (tmp_path / "atlas.toml").write_text('layers = "all"\n')
        told = ["--model", large, "--value-range", "0,1", "--site", str(tmp_path / "site"), "--dry-run"]
        chosen = run("build", *told, "--layers", "auto")
        assert chosen.exit_code == 0
        assert "300 neurons of wide, 300 neurons of end" in chosen.output
        everything = run("build", str(tmp_path / "atlas.toml"), *told)
        assert "16 neurons of down" in everything.output
        few = run("build", *told, "--neurons", "end:0-3,wide/Conv2D:5")
        assert "1 neuron of wide, 4 neurons of end" in few.output
        assert run("build", *told).exit_code == 1

    def test_info_prints_what_to_type_next(self, large: str) -> None:
        """What `info` ends in is a command line that works as it stands, options for reading included."""
        result = run("info", large, "--value-range", "0,1")
        assert result.exit_code == 0
        lines = [line.strip() for line in result.output.splitlines() if "circuit-atlas build" in line]
        first, second = (shlex.split(line) for line in lines)
        assert first[2:] == [
            "--model",
            large,
            "--value-range",
            "0,1",
            "--layers",
            "wide,end",
            "--site",
            "atlas",
        ]
        assert second[second.index("--neurons") + 1] == "end:0-9"
        planned = run(*second[1:], "--dry-run")
        assert planned.exit_code == 0
        assert "10 neurons of end" in planned.output

    def test_info_notes_once(self, large: str, caplog: pytest.LogCaptureFixture) -> None:
        """What was assumed stands in the report alone, not in the log as well."""
        result = run("info", large)
        assert result.stdout.count("0 to 1 is assumed") == 1
        assert "0 to 1 is assumed" not in caplog.text + result.stderr

    def test_a_wrong_layer_shows_the_layers(self, large: str, tmp_path: Path) -> None:
        """A name that no layer has is answered by all of the trunk, and by the nearest names."""
        result = run("build", "--model", large, "--layers", "wode", "--site", str(tmp_path / "site"))
        assert result.exit_code == 1
        assert "layers (stem, wide, down, end, classes); did you mean wide" in result.output


class TestHelp:
    """What the program says of itself."""

    @pytest.mark.parametrize("name", [None, *commands.main.commands])
    def test_every_help_ends_in_an_example(self, name: str | None) -> None:
        """Each command tells what it does in a sentence, and how it is called."""
        result = run(*([name] if name else []), "--help")
        assert result.exit_code == 0
        assert re.search(r"^  [A-Z].*[.,]$", result.output, re.MULTILINE)
        assert re.search(rf"^  Example:\n    circuit-atlas {name or 'build'} ", result.output, re.MULTILINE)

    def test_every_promised_command_is_there(self) -> None:
        """The commands of the design exist."""
        promised = {"build", "compute", "render", "archive", "check", "serve", "info", "explain"}
        assert promised <= set(commands.main.commands)

    def test_it_tells_its_version(self) -> None:
        """--version is the package's."""
        assert __version__ in run("--version").output

    def test_no_command_builds_the_demo(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Without a command, the bundled network is computed and rendered into site/."""
        monkeypatch.chdir(tmp_path)
        steps: list[tuple[str, AtlasConfig]] = []
        monkeypatch.setattr(
            commands, "compute_store", lambda config, *_, **__: steps.append(("compute", config))
        )
        monkeypatch.setattr(
            commands, "render_store", lambda config, *_, **__: steps.append(("render", config))
        )
        assert run().exit_code == 0
        assert steps == [("compute", AtlasConfig()), ("render", AtlasConfig())]
        assert (AtlasConfig().model, AtlasConfig().site) == ("demo", "site")


class TestCompute:
    """What is made, and what is said of it."""

    def test_nothing_to_do_is_said(self, arguments: list[str], tmp_path: Path) -> None:
        """A fresh store is counted, and no file is touched."""
        before, n = snapshot(tmp_path / "store"), n_artefacts(tmp_path / "store")
        result = run("compute", *arguments)
        assert result.output == f"computed: nothing to do, all {n} artefacts are fresh\n"
        assert snapshot(tmp_path / "store") == before

    def test_what_is_made_again_is_named_with_its_reason(self, arguments: list[str], tmp_path: Path) -> None:
        """A deleted and a flipped artefact are the only ones made, each on a line with its reason."""
        (tmp_path / "store/nmf/first/1.json").unlink()
        flipped = tmp_path / "store/connections/second__upstream.npz"
        data = bytearray(flipped.read_bytes())
        data[50] ^= 1
        flipped.write_bytes(data)
        lines = run("compute", *arguments).stdout.splitlines()
        assert lines[:-1] == [
            "made connections/second__upstream.npz (damaged)",
            "made nmf/first/1.json (missing)",
        ]
        assert lines[-1].startswith(f"computed: made 2 of {n_artefacts(tmp_path / 'store')} artefacts in ")
        assert "nothing to do" in run("compute", *arguments).output

    def test_a_dry_run_says_what_would_be_made(self, arguments: list[str], tmp_path: Path) -> None:
        """Counts by stage, and of pictures; nothing is made, not even a folder."""
        before, n = snapshot(tmp_path / "store"), n_artefacts(tmp_path / "store")
        chosen = ["--positions", "second:1", "--factor-pictures", "top 2"]
        for command in ("build", "compute"):
            result = run(command, *arguments, "--dry-run", *chosen)
            *lines, seconds, last = result.output.splitlines()
            assert re.fullmatch(r"all else: about \d+ s", seconds)
            assert lines == [
                f"to make: 1 positions, 2 factors, 1 atlas, of {n + 3} artefacts",
                "to draw: up to 9 positions of second, up to 6 factors of second",
            ]
            assert re.fullmatch(r"the site: about \d\d files, 1 MB", last)
        assert snapshot(tmp_path / "store") == before
        result = run("build", *arguments, "--store", str(tmp_path / "none"), "--dry-run")
        assert result.output.startswith("to make: 3 weights, 4 connections, 3 paths, 9 nmf, 2 statistics")
        assert [path.name for path in tmp_path.iterdir()] == ["store"]

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("top x", "cannot read the neurons 'top x'"),
            ("second:9", "has no neuron 9"),
            ("first:1", "no layer before"),
        ],
    )
    def test_neurons_that_cannot_be_drawn_are_told(
        self, arguments: list[str], spec: str, message: str
    ) -> None:
        """A specification that means nothing, or nothing that can be drawn, ends with what was wrong."""
        result = run("compute", *arguments, "--positions", spec)
        assert (result.exit_code, message in result.stderr) == (1, True)

    def test_long_lists_are_counted(self, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """More than a screen of artefacts is told by stage and reason."""
        monkeypatch.setattr(freshness, "LISTED", 5)
        lines = run("compute", *arguments, "--factors", "2").stdout.splitlines()
        assert lines[:-1] == [
            "made 9 artefacts of nmf (setting nmf.factors changed)",
            "made 1 artefact of atlas (setting nmf.factors changed)",
        ]

    def test_a_second_writer_is_told(self, arguments: list[str], tmp_path: Path) -> None:
        """While a process writes the store, another one stops with the holder's number."""
        with Store.open(tmp_path / "store", write=True):
            result = run("compute", *arguments)
        assert result.exit_code == 1
        assert f"is being written by process {os.getpid()}" in result.stderr


class TestBuild:
    """From the store to the site."""

    def test_a_site_is_rendered_once(self, arguments: list[str], tmp_path: Path) -> None:
        """The first build writes the site, the second one writes nothing, and the site has no faults."""
        first = run("build", *arguments)
        assert first.exit_code == 0, first.output
        assert re.search(r"rendered: \d+ files written, 0 unchanged, 0 removed", first.output)
        before = snapshot(tmp_path / "site")
        assert {"index.html", "first.html", "second_4.html"} <= set(before)
        again = run("build", *arguments)
        assert "computed: nothing to do" in again.output
        assert re.search(r"rendered: 0 files written, \d+ unchanged, 0 removed", again.output)
        assert snapshot(tmp_path / "site") == before
        assert run("check", str(tmp_path / "site")).exit_code == 0

    def test_rendering_needs_the_store_alone(self, arguments: list[str], tmp_path: Path) -> None:
        """Without the model, the site is the same."""
        run("build", *arguments)
        (tmp_path / "elsewhere").mkdir()
        result = run("render", "--store", str(tmp_path / "store"), "--site", str(tmp_path / "elsewhere/site"))
        assert result.exit_code == 0, result.output
        one, two = snapshot(tmp_path / "site"), snapshot(tmp_path / "elsewhere/site")
        assert {k: v[2] for k, v in one.items()} == {k: v[2] for k, v in two.items()}

    @pytest.mark.parametrize(
        "option", [("--layers", "zz"), ("--neurons", "a:9"), ("--model", "no"), ("--title", "t")]
    )
    def test_rendering_takes_no_option_that_is_for_computing(
        self, arguments: list[str], tmp_path: Path, option: tuple[str, str]
    ) -> None:
        """What the store decides cannot be chosen when it is shown: nothing is written."""
        folders = ("--store", str(tmp_path / "store"), "--site", str(tmp_path / "other"))
        result = run("render", *folders, *option)
        assert (result.exit_code, "No such option" in result.stderr) == (2, True)
        assert not (tmp_path / "other").exists()

    def test_former_addresses_are_kept_or_refused(self, arguments: list[str], tmp_path: Path) -> None:
        """A page that moved is found; a redirect to nowhere ends with an error that names it."""
        site, redirects = tmp_path / "site", tmp_path / "moved.json"
        store = arguments[arguments.index("--store") + 1]
        web = ["--url", "https://a.org/x", "--redirects", str(redirects)]
        redirects.write_text('{"old.html": "index.html"}')
        assert run("render", "--store", store, "--site", str(site), *web).exit_code == 0
        assert "https://a.org/x/index.html" in (site / "old.html").read_text()
        redirects.write_text('{"old.html": "gone.html"}')
        result = run("render", "--store", store, "--site", str(site), *web)
        assert result.exit_code == 1
        assert "error: the redirect from 'old.html' leads to 'gone.html'" in result.output

    def test_an_archive_is_packed(self, arguments: list[str], tmp_path: Path) -> None:
        """--archive packs what was rendered, and `archive` packs the same again."""
        result = run("build", *arguments, "--archive")
        assert result.exit_code == 0, result.output
        packed = tmp_path / "site.zip"
        n_files = len(snapshot(tmp_path / "site")) - 1
        assert f"archived: {n_files} files, {packed.stat().st_size:,} bytes; {packed}" in result.output
        folders = ("--store", str(tmp_path / "store"), "--site", str(tmp_path / "two"))
        assert run("render", *folders, "--archive").exit_code == 0
        assert run("archive", str(tmp_path / "site"), "--out", str(tmp_path / "three.zip")).exit_code == 0
        others = [(tmp_path / name).read_bytes() for name in ("two.zip", "three.zip")]
        assert others == [packed.read_bytes()] * 2

    def test_damage_that_only_reading_finds_ends_well(self, arguments: list[str], tmp_path: Path) -> None:
        """A picture whose bytes changed under the same times stops one build and is made by the next."""
        path = tmp_path / "store/nmf/second/0.json"
        run("compute", *arguments)
        path.write_bytes(path.read_bytes().replace(b"first", b"fjrst"))
        stat = path.stat()
        with Store.open(tmp_path / "store", write=True) as store:
            entry = store._index.entries["nmf/second/0.json"]
            fields = {"stat": (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)}
            new = type(entry)(entry.key, entry.fingerprint, entry.sha256, fields["stat"], entry.meta)
            store._index.add(new, store._index.inputs[entry.fingerprint])
        broken = run("build", *arguments)
        assert broken.exit_code == 1
        assert "nmf/second/0.json is damaged; run the build again" in broken.stderr
        mended = run("build", *arguments)
        assert mended.exit_code == 0
        assert "made nmf/second/0.json (damaged)" in mended.stdout


class TestTelling:
    """info and explain."""

    def test_info_lists_layers_and_ways(self, toy_graph: Path) -> None:
        """A model's layers, sizes and carriers are told; it may stand where a config would."""
        result = run("info", str(toy_graph), "--value-range", "0,1")
        assert "toy: input 20x24x3, values 0 to 1, SHA-256 " in result.output
        assert re.search(r"^first +conv +4 +20x24 +5x3 /1 +yes$", result.output, re.MULTILINE)
        assert re.search(r"^classes +dense +7 ", result.output, re.MULTILINE)
        assert "first -> second: carrier pool\n" in result.output

    def test_info_measures_labelled_images(self, toy_graph: Path, tmp_path: Path) -> None:
        """Top-1 and top-5 of a folder; the folder stands as examples in the command to type next."""
        for index in range(7):
            (tmp_path / str(index)).mkdir()
            Image.new("RGB", (24, 20), (30 * index, 9, 200)).save(tmp_path / f"{index}/a.png")
        (tmp_path / "3/b.png").write_bytes(b"none")
        reading = ("info", str(toy_graph), "--value-range", "0,1", "--crop", "0.5")
        result = run(*reading, "--images", str(tmp_path))
        assert result.exit_code == 0, result.output
        assert re.search(
            r"^top-1 \d+\.\d%, top-5 \d+\.\d%: 7 images of 7 classes, ", result.stdout, re.MULTILINE
        )
        assert "1 of 8 files could not be read and are left out: 3/b.png" in result.stdout
        assert "photographs are resized to cover 48x40 px (bilinear), the centre 24x20" in result.stdout
        assert "labelled images: 8 images to do" in result.stderr
        command = next(line for line in result.stdout.splitlines() if "--neurons" in line)
        words = shlex.split(command)
        assert words[words.index("--examples") + 1] == str(tmp_path)
        assert words[words.index("--crop") + 1] == "0.5"
        lacking = run(*reading, "--images", str(tmp_path / "none"))
        assert (lacking.exit_code, lacking.stdout) == (1, "")
        assert lacking.stderr.startswith(f"error: {tmp_path / 'none'}: no folder of images")

    def test_explain_tells_inputs_and_reasons(self, arguments: list[str], tmp_path: Path) -> None:
        """Each artefact of a neuron is fresh or stale with a reason, and lists what it depends on."""
        (tmp_path / "store/featurevis/neuron/second/3.jpg").unlink()
        result = run("explain", "second:3", *arguments, "--factors", "2")
        assert result.exit_code == 0, result.output
        assert "weights/first/second.npy: fresh\n" in result.output
        assert "nmf/second/3.json: stale (setting nmf.factors changed)\n" in result.output
        assert "featurevis/neuron/second/3.jpg: stale (missing)\n" in result.output
        assert re.search(r"^    nmf.factors = 2$", result.output, re.MULTILINE)
        assert "nmf/second/2.json" not in result.output

    @pytest.mark.parametrize(
        ("neuron", "message"),
        [("second:9", "second has no neuron 9"), ("classes:1", "is not in this atlas"), ("x", "cannot read")],
    )
    def test_explain_knows_its_neurons(self, arguments: list[str], neuron: str, message: str) -> None:
        """A neuron that the atlas does not show is an error."""
        result = run("explain", neuron, *arguments)
        assert (result.exit_code, message in result.stderr) == (1, True)

    def test_explain_needs_a_store(self, tmp_path: Path) -> None:
        """Without a store there is nothing to explain, and none is made."""
        result = run("explain", "a:1", "--store", str(tmp_path / "none"))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"error: there is no store in {tmp_path / 'none'}")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
class TestProcesses:
    """Whole processes: their noise, their memory of what was done, and how they end."""

    def test_a_build_says_what_it_does_and_no_more(self, toy_graph: Path, tmp_path: Path) -> None:
        """Standard error holds plan and stages alone, and the second build loads no TensorFlow."""
        arguments = ["build", *toy_arguments(toy_graph, tmp_path / "store")]
        out, err = start(*arguments).communicate(timeout=300)
        n = n_artefacts(tmp_path / "store")
        assert f"computed: made {n} of {n} artefacts" in out
        stages = "|".join([*(stage.title for stage in STAGES.values() if stage.title), "site"])
        said = rf"({stages}): \d+ (of \d+ )?\w+|to (make|draw): \d|(all else|in all|the site): about \d"
        assert [line for line in err.splitlines() if not re.match(said, line)] == []
        command = [sys.executable, "-X", "importtime", str(ROOT / "build.py"), *arguments]
        again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert "computed: nothing to do" in again.stdout
        assert "rendered: 0 files written" in again.stdout
        assert not re.search(r"\| +(tensorflow|sklearn|lucid|keras)\b", again.stderr)

    def test_ctrl_c_ends_cleanly(self, toy_graph: Path, tmp_path: Path) -> None:
        """Interrupted while it draws, it ends with 130 and a sentence, and what is done is kept."""
        store = tmp_path / "store"
        arguments = ["compute", *toy_arguments(toy_graph, store), "--preset", "full"]
        process = start(*arguments)
        wait_for(store / "featurevis/neuron/first/3.jpg", process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-1].startswith("stopped; what is done is kept")
        assert "Traceback" not in err
        kept = snapshot(store)
        assert "nmf/second/4.json" in kept
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        after = snapshot(store)
        assert {key: after[key] for key in kept if "lock" not in key} == {
            key: value for key, value in kept.items() if "lock" not in key
        }
        assert len(result.stdout.splitlines()) == len(after) - len(kept) + 1

    def test_ctrl_c_amid_making_something_ends_cleanly(self) -> None:
        """What was half made when the key came, and fails to be taken down, is not the last word."""
        code = """if True:
            from atlas import cli
            class HalfMade:
                def __init__(self):
                    raise KeyboardInterrupt
                def __del__(self):
                    self.missing
            cli.main.command("fall")(lambda: HalfMade())
            cli.main(["fall"])"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        said = "stopped; what is done is kept, the same command goes on from there\n"
        assert (done.returncode, done.stdout, done.stderr) == (130, "", said)

    def test_killed_builds_resume_to_the_same_bytes(self, toy_graph: Path) -> None:
        """Two builds killed while they draw end, resumed, with the site of an undisturbed one."""
        script = ROOT / "tests/benchmarks/kill_resume.py"
        command = [sys.executable, str(script), "--kills", "2", "--seed", "1", "--model", str(toy_graph)]
        command += ["--", "--value-range", "0,1", "--preset", "draft"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr + done.stdout
        figures: dict[str, Any] = json.loads(done.stdout)
        assert (figures["builds"], figures["identical_sites"]) == (2, 2)
        assert figures["kills"] >= 1


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file is there."""
    for _ in range(2400):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    assert path.exists()
