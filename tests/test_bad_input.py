"""Bad input: one clear message, a non-zero exit, no traceback, and nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from atlas.cli import commands
from atlas.model.graph.backend import tf
from atlases import snapshot, toy_arguments
from sites import write_site

BUILD = ("--store", "store", "--site", "site", "--value-range", "0,1", "--preset", "draft")
TOY = ("build", "--model", "toy.pb", *BUILD)


@pytest.fixture
def here(toy_graph: Path, toy_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the toy network, its store, its site, and all kinds of bad files."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(toy_graph, tmp_path / "toy.pb")
    shutil.copytree(toy_store, tmp_path / "store")
    assert run(*TOY).exit_code == 0
    data = toy_graph.read_bytes()
    files = {"empty.pb": b"", "cut.pb": data[: len(data) // 2], "text.pb": b"not a graph at all\n" * 9}
    files |= {"file": b"mine", "broken.png": b"\x89PNG", "photo.pb": b"\x89PNG\r\n\x1a\n" + bytes(range(256))}
    files |= {"circle.json": b'{"old.html": "old.html"}', "over.json": b'{"method.html": "first.html"}'}
    files |= {"lost.json": b'{"old.html": "third.html"}'}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in ("folder", "broken", "texts", "packed.zip"):
        (tmp_path / name).mkdir()
    (tmp_path / "odd").mkdir()
    shutil.copy(tmp_path / "broken.png", os.fsencode(tmp_path) + b"/odd/\xff.png")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken/a.png").write_bytes(b"\x89PNG")
    (tmp_path / "texts/a.txt").write_bytes(b"x")
    return tmp_path


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(commands.main, arguments)


# Words beside `build`'s usual ones -> what the message must hold.
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "missing model": (("--model", "none.pb"), ("none.pb", "found nothing", "expected a file")),
    "model of a long name": (("--model", "x" * 300), ("no model", "expected a file")),
    "model in nobody's home": (("--model", "~nobody-at-all/net.pb"), ("found nothing", "expected a file")),
    "empty model": (("--model", "empty.pb"), ("empty.pb is empty",)),
    "truncated model": (("--model", "cut.pb"), ("cut.pb cannot be read as a graph", "again")),
    "text for a model": (("--model", "text.pb"), ("text.pb cannot be read as a graph", "expected a frozen")),
    "picture for a model": (("--model", "photo.pb"), ("photo.pb cannot be read as a graph",)),
    "folder without model": (("--model", "folder"), ("folder holds no model", "manifest.json")),
    "unknown input": (("--input", "imagee:0"), ("no input 'imagee:0'", "did you mean image?")),
    "unknown layer": (("--layers", "frist"), ("no layer 'frist'", "did you mean first")),
    "layers out of order": (("--layers", "second,first"), ("out of order", "expected first,second")),
    "layer twice": (("--layers", "first,first"), ("first is chosen twice",)),
    "no layer": (("--layers", ""), ("no layers are chosen",)),
    "neuron out of range": (("--neurons", "first:4"), ("first has no neuron 4", "0 to 3")),
    "neurons backwards": (("--neurons", "first:3-1"), ("runs backwards", "1-3")),
    "neuron unreadable": (("--neurons", "first:x"), ("cannot read the neurons 'x'",)),
    "neuron of no layer": (("--neurons", "third:0"), ("no layer 'third'",)),
    "neuron left out": (("--neurons", "second:1", "--layers", "first"), ("second", "--layers leaves out")),
    "unknown preset": (("--preset", "fast"), ("--preset", "found 'fast'", "draft | standard | full")),
    "unknown variant": (("--variants", "chanel"), ("--variants", "neuron | channel | neuron-negative")),
    "factors": (("--factors", "7"), ("--factors", "<= 6", "found 7")),
    "value range": (("--value-range", "0..255"), ("--value-range", "length 2")),
    "value range of nothing": (("--value-range", "1,1"), ("value range", "two numbers", "differ")),
    "value range too large": (("--value-range", "-1e300,1e300"), ("value range", "1e+09", "like 0,255")),
    "value range too small": (("--value-range", "0,1e-300"), ("value range", "1e-06", "like 0,255")),
    "input shape": (("--input-shape", "20,24"), ("--input-shape", "length 3")),
    "missing labels": (("--labels", "none.txt"), ("cannot read the labels none.txt",)),
    "missing config": (("none.toml",), ("there is no config file none.toml",)),
    "folder for a config": (("folder",), ("the config folder", "found a folder", "--model")),
    "pipe for a config": (("pipe",), ("the config pipe", "found a device or a pipe", "a TOML file")),
    "device for a config": (("/dev/zero",), ("the config /dev/zero", "found a device or a pipe")),
    "pipe for redirects": (("--redirects", "pipe"), ("the redirects pipe", "found no regular file")),
    "pipe for labels": (("--labels", "pipe"), ("the labels pipe", "found no regular file")),
    "pipe for a model": (("--model", "pipe"), ("pipe",)),
    "model for a config": (("photo.pb",), ("the config photo.pb is not text", "--model")),
    "site is a file": (("--site", "file"), ("the site file", "expected a folder", "--site")),
    "site below a file": (("--site", "file/site"), ("the site file/site", "expected a folder")),
    "site is somebody's": (("--site", "texts"), ("the site texts", "found a.txt", "an empty folder")),
    "site of a long name": (("--site", "n" * 300), ("cannot make the site", "the name is too long")),
    "archive in place of a folder": (("--site", "packed", "--archive"), ("packed.zip", "no zip file")),
    "redirects in a circle": (("--redirects", "circle.json"), ("in a circle: old.html to old.html",)),
    "redirect over a page": (("--redirects", "over.json"), ("'method.html'", "found a file of the site")),
    "redirect to nowhere": (("--redirects", "lost.json"), ("to 'third.html', which is no page of",)),
    "store is a file": (("--store", "file"), ("the store file", "found a file", "expected a folder")),
    "store below a file": (("--store", "file/store"), ("cannot open the store file/store", "is a file")),
    "store is a link": (("--store", "loop"), ("the store loop", "found a link that leads nowhere")),
    "store is the site": (("--store", "site"), ("the store site lies in the site site", "--store")),
    "site in the store": (("--site", "store/site"), ("the site store/site lies in the store store",)),
    "missing examples": (("--examples", "none"), ("none: no folder of images", "found nothing")),
    "file for examples": (("--examples", "file"), ("file: no folder of images", "found a file")),
    "empty examples": (("--examples", "folder"), ("folder: no image", ".png")),
    "examples of text": (("--examples", "texts"), ("texts: no image", ".png")),
    "broken examples": (("--examples", "broken"), ("broken: no image can be read", "a.png")),
    "example of no name": (("--examples", "odd"), ("name '\\udcff.png' is not UTF-8; rename it",)),
    "examples in the site": (("--examples", "site/images"), ("lies in the site site",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_argument_costs_nothing(here: Path, case: str) -> None:
    """The build ends with 1 and one line that says what is wrong; store and site stay as they were."""
    words, expected = CASES[case]
    before = snapshot(here)
    result = run(*TOY, *words)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert line == result.stderr.splitlines()[-1]
    for part in expected:
        assert part in line
    after = snapshot(here)
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize(
    "words",
    [
        ("--site", "texts"),
        ("--site", "n" * 300),
        ("--site", "packed", "--archive"),
        ("--redirects", "circle.json"),
        ("--redirects", "over.json"),
        ("--redirects", "lost.json"),
        ("--examples", "broken"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_work(here: Path, words: tuple[str, ...]) -> None:
    """What would stop the site, or all examples, is told before anything is computed."""
    shutil.rmtree(here / "store/nmf")
    result = run(*TOY, *words)
    assert result.exit_code == 1, result.output
    assert not (here / "store/nmf").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("preset = 'draft'", "line 1: unknown setting preset"),
        ("\n[nmf]\nfactros = 2", "line 3: unknown setting nmf.factros; did you mean factors?"),
        ("[featurevis]\nquality = '90'", "line 2: featurevis.quality: expected `int`, got `str`"),
        ("site = 'x'\nstore = \"a\\u0000b\"", "line 2: store: text without a zero byte is expected"),
        ('[web]\nredirects = "a\\u0000b"', "line 2: web.redirects: text without a zero byte"),
        (
            "[[family]]\nname = 'a'\nlayer = \"a\\u0000b\"\nneurons = [1]",
            "line 3: family.layer: text without",
        ),
        ("[featurevis]\nsizes = { frist = 60 }", "no layer 'frist'"),
        ("[weights]\ncarriers = { first = 'pol:0' }", "pol"),
    ],
)
def test_a_bad_config_costs_nothing(here: Path, text: str, expected: str) -> None:
    """A mistake in a config file is named with its line, or its layer, and nothing is touched."""
    (here / "atlas.toml").write_text(text)
    before = snapshot(here)
    result = run(*TOY, "atlas.toml")
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True)
    assert expected in result.stderr.splitlines()[-1]
    assert snapshot(here) == before


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("render", "--store", "none", "--site", "s"), "there is no store in none"),
        (("render", "--store", "store", "--site", "file"), "file"),
        (("explain", "first:9", "--store", "store", "--model", "toy.pb"), "first has no neuron 9"),
        (("explain", "first:1", "--store", "folder"), "there is no store in folder"),
        (("check", "none"), "none"),
        (("serve", "none"), "there is no site in none"),
        (("info", "none.pb"), "no model at none.pb"),
        (("info", "file"), "file cannot be read as a graph"),
        (("info", "toy.pb", "--images", "none"), "none: no folder of images: found nothing"),
        (("info", "toy.pb", "--images", "texts"), "texts: no image in the folder"),
        (("info", "toy.pb", "--value-range", "0,1", "--images", "broken"), "broken: 'a' is none of the 7"),
        (("info", "toy.pb", "--interpolation", "cubic"), "expected nearest | box | bilinear"),
        (("info", "toy.pb", "--crop", "87.5"), "--crop: expected `float` <= 1.0"),
        (("archive", "site", "--out", "/dev/full"), "the archive /dev/full: found something that is no zip"),
    ],
)
def test_every_command_has_clear_errors(here: Path, command: tuple[str, ...], expected: str) -> None:
    """Also what only reads ends with 1 and a sentence when there is nothing to read."""
    result = run(*command)
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True), result.output
    assert expected in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("port", ["99999", "-1", "0"])
def test_no_port(here: Path, port: str) -> None:
    """A port that no machine has is a mistake of usage."""
    result = run("serve", "site", "--port", port)
    assert (result.exit_code, "1<=x<=65535" in result.stderr) == (2, True)


def test_a_broken_image_is_skipped_and_named(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One broken file among good ones is counted and named, and the build goes on."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)).save(
        here / "broken/b.png"
    )
    result = run(*TOY, "--examples", "broken")
    assert result.exit_code == 0, result.output
    assert "1 of 2 images could not be read: a.png" in caplog.text


def test_a_name_cannot_forge_a_line(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A newline in a broken image's name stays in the line of the warning."""
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(here / "broken/b.png")
    (here / "broken/a.png").rename(here / "broken/a\nerror: forged.png")
    assert run(*TOY, "--examples", "broken").exit_code == 0
    (line,) = [line for line in caplog.messages if "could not be read" in line]
    assert line == "1 of 2 images could not be read: a error: forged.png"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_costs_one_artefact(here: Path) -> None:
    """A store whose disk is full ends the build; what was done is kept, and the next build goes on."""
    shutil.rmtree(here / "store/nmf")
    (here / "store/nmf/second").mkdir(parents=True)
    (here / "store/nmf/second/.2.json.aside").symlink_to("/dev/full")
    full = run(*TOY)
    assert full.exit_code == 1
    assert (
        full.stderr.splitlines()[-1] == "error: cannot write the store's nmf/second/2.json: the disk is full"
    )
    made = [line for line in run(*TOY).stdout.splitlines() if line.startswith("made ")]
    assert made == [f"made nmf/second/{index}.json (missing)" for index in (2, 3, 4)]


@pytest.mark.parametrize("way", ["nmf", "nmf/second", "nmf/second/3.json/"])
def test_what_is_in_an_artefact_s_way_is_told(here: Path, way: str) -> None:
    """A file in a folder's place, or a folder in a file's, ends the build with what to move away."""
    shutil.rmtree(here / "store/nmf")
    write_site(here / "store", {way.rstrip("/") + "/mine" * way.endswith("/"): b"mine"})
    result = run(*TOY)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: cannot write the store's nmf/")
    assert f"; move away what is at store/{way.rstrip('/')}, or give" in result.stderr


NAMES = ["up/../../../x", "a", "A", "con", "deep/er.npz", "a_3", "n" * 60 + "/relu"]


def test_layers_may_be_called_anything(tmp_path: Path) -> None:
    """Names with slashes, dots, other cases or reserved words get files of their own, all in the site."""
    rng = np.random.default_rng(0)

    def kernel(*shape: int) -> Any:
        return tf.constant(rng.normal(size=shape).astype(np.float32))

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 20, 24, 3], name="image")
        before = 3
        for number in range(len(NAMES)):
            x = tf.nn.conv2d(x, kernel(1, 1, before, 2), 1, "SAME", name=f"layer{number}x")
            before = 2
    graph_def = graph.as_graph_def()
    renamed = {f"layer{number}x": name for number, name in enumerate(NAMES)}
    for node in graph_def.node:
        node.name = renamed.get(node.name, node.name)
        node.input[:] = [renamed.get(tensor, tensor) for tensor in node.input]
    work = tmp_path / "work"
    work.mkdir()
    (work / "net.pb").write_bytes(graph_def.SerializeToString())
    (work / "atlas.toml").write_text("[featurevis]\nvariants = []\n")
    arguments = [
        a for a in toy_arguments(work / "net.pb", work / "out/store") if a not in ("--preset", "draft")
    ]
    result = run("build", str(work / "atlas.toml"), *arguments)
    assert result.exit_code == 0, result.output
    pages = [p.name.casefold() for p in (work / "out/site").glob("*.html")]
    assert len(set(pages)) == len(pages) == 2 + len(NAMES) + 2 * len(NAMES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["work"]
    assert sorted(p.name for p in work.iterdir()) == ["atlas.toml", "net.pb", "out"]
    assert run("check", str(work / "out/site")).exit_code == 0
