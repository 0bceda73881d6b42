"""A picture that fails costs a picture: it is kept, shown and counted as failed, and all else is built."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from atlas.build.engine import Piece
from atlas.build.stages import featurevis
from atlas.cli import commands
from atlas.core.errors import StoreError, why_not_made
from atlas.featurevis.optimizer import Optimizer
from atlas.model.graph.backend import tf as tensorflow
from atlas.store import Store, keys
from atlases import toy_arguments

tf = tensorflow.compat.v1
DEAD, BROKEN, N = 1, 2, 4


def graph(folder: Path, *, dead: bool = False, broken: bool = False) -> Path:
    """Write a network of two layers: a dead neuron has no weights, a broken one weights of NaN."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.4, (5, 3, 3, N)).astype(np.float32)
    last = rng.normal(0, 0.4, (3, 3, N, 5)).astype(np.float32)
    bias = np.full(N, 0.1, np.float32)
    if dead:
        first[..., DEAD], bias[DEAD] = 0, -1
    if broken:
        last[..., BROKEN] = np.nan
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, [None, 20, 24, 3], name="image")
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, first, 1, "SAME"), bias), name="first")
        x = tf.nn.relu(tf.nn.conv2d(x, last, 1, "SAME"), name="second")
    path = folder / "net.pb"
    path.write_bytes(made.as_graph_def().SerializeToString())
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(commands.main, arguments)


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., list[str]]:
    """The command line's arguments for such a network."""
    return lambda **kinds: toy_arguments(graph(tmp_path, **kinds), tmp_path / "store")


def failures(folder: Path) -> dict[str, str]:
    with Store.open(folder) as store:
        return {key: why for key in sorted(store.keys()) if (why := store.failure(key))}


@pytest.mark.slow
def test_a_dead_neuron_costs_its_picture(arguments: Callable[..., list[str]], tmp_path: Path) -> None:
    """A neuron that no pixel reaches has no picture, its page and data say so, and the exit status is 3."""
    result = run("build", *arguments(dead=True))
    assert result.exit_code == 3, result.output
    assert f"not made: featurevis of first:{DEAD}: its value is 0 and no pixel changes it" in result.output
    assert "1 picture could not be drawn; all else is there" in result.output
    key = keys.featurevis("neuron", "first", DEAD)
    assert list(failures(tmp_path / "store")) == [key]
    page = (tmp_path / f"site/first_{DEAD}.html").read_text()
    assert "No feature visualization could be drawn." in page
    assert "no pixel changes it" in page
    (told,) = json.loads((tmp_path / f"site/data/first_{DEAD}.json").read_text())["failures"]
    assert told["what"] == "feature visualization (neuron)"
    assert "failures" not in json.loads((tmp_path / "site/data/first_0.json").read_text())
    assert not (tmp_path / f"site/images/neuron/first_{DEAD}.jpg").exists()
    assert (tmp_path / "site/images/neuron/first_0.jpg").exists()
    assert run("check", str(tmp_path / "site")).exit_code == 0


@pytest.mark.slow
def test_a_failure_is_known_until_it_is_retried(
    arguments: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next build does not try again, explain tells why, --retry-failed does, and a new version too."""
    given = arguments()
    real = Optimizer.step

    def fails(self: Optimizer, session: Any, step: int, targets: Any, moving: Any = None) -> Any:
        if self.objective.tensor.startswith("second") and 3 in targets:
            raise tf.errors.InvalidArgumentError(None, None, "no such kernel")
        return real(self, session, step, targets, moving)

    monkeypatch.setattr(Optimizer, "step", fails)
    first = run("compute", *given)
    assert first.exit_code == 3, first.output
    assert list(failures(tmp_path / "store")) == [keys.featurevis("neuron", "second", 3)]
    monkeypatch.undo()
    again = run("compute", *given)
    assert (again.exit_code, again.stdout[:28]) == (3, "computed: nothing to do, all")
    told = run("explain", "second:3", *given).output
    assert "could not be made (InvalidArgumentError: no such kernel); --retry-failed tries again" in told
    assert run("compute", "--retry-failed", *given).exit_code == 0
    assert failures(tmp_path / "store") == {}


def test_another_version_tries_again(tmp_path: Path) -> None:
    """What could not be made is stale as soon as the program is another."""
    with Store.open(tmp_path, write=True) as store:
        store.put_failure("a", "it is odd", inputs={"x": "1"})
        assert (store.status("a", {"x": "1"}).fresh, store.has("a")) == (True, False)
        store.put("a", b"", meta={"failed": "it is odd", "version": "0.0"}, inputs={"x": "1"})
        assert not store.status("a", {"x": "1"}).fresh
        store.put("a", b"now", inputs={"x": "1"})
        assert (store.failure("a"), store.read("a")) == ("", b"now")


@pytest.mark.slow
def test_a_neuron_without_numbers_costs_what_needs_them(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Weights that are not numbers fail by name, and what does not need them is built."""
    result = run("build", *arguments(broken=True))
    assert result.exit_code == 3, result.output
    failed = failures(tmp_path / "store")
    assert "not finite" in failed[keys.featurevis("neuron", "second", BROKEN)]
    assert "not finite" in failed[keys.factorization("second", BROKEN)]
    assert not any("featurevis/neuron/first" in key or "nmf/first" in key for key in failed)
    assert run("check", str(tmp_path / "site")).exit_code == 0


def abort(*_: object) -> Iterator[Piece]:
    """End the process, as TensorFlow does for some graphs."""
    os.abort()
    yield


@pytest.mark.slow
def test_a_worker_that_aborts_costs_its_pictures(
    arguments: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends with SIGABRT is a message, and everything but its pictures is built."""
    monkeypatch.setattr(featurevis, "draw_neurons", abort)
    result = run("build", "--workers", "2", *arguments())
    assert result.exit_code == 3, result.output
    assert "it ended every worker that tried (it was ended by SIGABRT)" in result.output
    assert "9 pictures could not be drawn" in result.output
    assert (tmp_path / "site/second_4.html").exists()


def test_a_full_disk_and_memory_end_a_build() -> None:
    """They are no fault of a picture: the error goes on."""
    for error in (StoreError("the disk is full"), MemoryError(), OSError(28, "full")):
        with pytest.raises(type(error)):
            why_not_made(error)


def test_tensorflows_message_is_one_line() -> None:
    """Of a message with the place where the graph was built, what is wrong is kept."""
    told = "Graph execution error:\n\nDetected at node 'a'\n  File x\nNode: 'a'\nodd size\n\t [[{{node a}}]]"
    assert why_not_made(tf.errors.InvalidArgumentError(None, None, told)) == "InvalidArgumentError: odd size"


@pytest.mark.slow
def test_many_bands_have_a_page(tmp_path: Path) -> None:
    """An atlas of a network of five bands has pictures in colour, a strip of all bands, and no problem."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, [None, 20, 24, 5], name="image")
        tf.nn.relu(tf.nn.conv2d(x, rng.normal(size=(3, 3, 5, 4)).astype(np.float32), 1, "SAME"), name="first")
    path = tmp_path / "net.pb"
    path.write_bytes(made.as_graph_def().SerializeToString())
    result = run("build", *toy_arguments(path, tmp_path / "store"), "--bands", "5,2,1")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "site/images/neuron/first_2.jpg") as picture:
        assert (picture.mode, picture.size) == ("RGB", (24, 20))
    with Image.open(tmp_path / "site/images/neuron/first_2-bands.jpg") as strip:
        assert (strip.mode, strip.size) == ("L", (5 * 25 - 1, 32))
    assert (
        "shows band 5 as red, band 2 as green, band 1 as blue" in (tmp_path / "site/first_2.html").read_text()
    )
    assert run("check", str(tmp_path / "site")).exit_code == 0
