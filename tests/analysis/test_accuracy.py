"""How many labelled images a network names, on networks whose answers are known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.analysis.accuracy import accuracy, as_if
from atlas.core.errors import ExamplesError, ExamplesFolderError, ModelError
from atlas.core.preprocessing import COVER, Preprocessing
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from toys import hand_made

COLOURS = ("red", "green", "blue", "cyan", "magenta", "yellow", "grey")
PIXELS = dict(
    zip(
        COLOURS,
        ((250, 9, 9), (9, 250, 9), (9, 9, 250), (9, 250, 250), (250, 9, 250), (250, 250, 9), (128, 128, 128)),
        strict=True,
    )
)


def classifier(shape: tuple[int, int, int] = (6, 5, 3), weight: float = 1.0) -> Network:
    """Return a network that names an image by the colour whose direction from grey is nearest to its mean."""
    directions = np.array([PIXELS[name] for name in COLOURS], np.float32).T / 255 - 0.5

    def build(x: Any) -> None:
        eye = tf.constant(np.eye(3, dtype=np.float32)[None, None] * weight)
        maps = tf.nn.conv2d(x, eye, 1, "SAME", name="colours/Conv2D")
        centred = tf.nn.bias_add(maps, tf.constant([-0.5 * weight] * 3), name="colours/BiasAdd")
        mean = tf.reduce_mean(centred, [1, 2], name="mean")
        tf.matmul(mean, tf.constant(directions), name="classes/MatMul")

    return replace(hand_made(build, shape), labels=COLOURS)


def save(folder: Path, name: str, colour: str, size: tuple[int, int] = (5, 6)) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, PIXELS[colour]).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty images in folders of three classes, of which 15 are named rightly, and one broken file."""
    for i in range(20):
        label = COLOURS[i % 3]
        save(tmp_path, f"{label}/{i}.png", label if i < 15 else "grey")
    (tmp_path / "red/broken.png").write_bytes(b"none")
    return tmp_path


def test_images_named_are_counted(folder: Path) -> None:
    """Over several batches; a broken file is listed and does not count."""
    steps: list[int] = []
    found = accuracy(classifier(), folder, progress=steps.append)
    assert (found.n_images, found.n_seen, found.skipped) == (20, 3, ("red/broken.png",))
    assert found.top1 == 15 / 20
    assert (sum(steps), found.hint) == (21, "")
    # Of grey images all logits but grey's own are near zero, so that five classes hold some of them.
    assert found.top5 is not None
    assert found.top1 <= found.top5 <= 1


def test_few_classes_have_no_top_5(tmp_path: Path) -> None:
    """Of five classes every one is among five."""
    save(tmp_path, "0.png", "red")

    def build(x: Any) -> None:
        maps = tf.nn.conv2d(
            x, tf.constant(np.eye(3, dtype=np.float32)[None, None]), 1, "SAME", name="c/Conv2D"
        )
        tf.matmul(tf.reduce_mean(maps, [1, 2]), tf.constant(np.eye(3, dtype=np.float32)), name="d/MatMul")

    (tmp_path / "0").mkdir()
    (tmp_path / "0.png").rename(tmp_path / "0/a.png")
    found = accuracy(hand_made(build, (6, 5, 3)), tmp_path)
    assert (found.top1, found.top5, found.how) == (1.0, None, "by index")


def test_equal_logits_name_the_first_class(tmp_path: Path) -> None:
    """A network that says the same of all images is right for one class only, and near chance."""
    for i, label in enumerate(COLOURS * 3):
        save(tmp_path, f"{label}_{i}.png", label)
    found = accuracy(classifier(weight=0.0), tmp_path)
    assert found.top1 == pytest.approx(1 / 7)
    assert found.top5 == pytest.approx(5 / 7)
    assert found.hint.startswith("this is near chance: the weights may be random")


def test_a_wrong_preprocessing_is_named(tmp_path: Path) -> None:
    """Images of the wrong order of channels are named again with the right one, and the hint says so."""
    for i, label in enumerate(("red", "blue") * 5):
        save(tmp_path, f"{label}_{i}.png", label)
    network = classifier()
    graph = tmp_path / "net.pb"
    graph.write_bytes(network.graph_def.SerializeToString())
    found = accuracy(load_model(str(graph), channels="bgr", value_range=(0, 1), labels=COLOURS), tmp_path)
    assert found.top1 == 0
    assert "of 10 images 0 are named rightly, with --" in found.hint
    assert found.hint.endswith(" instead 10")


def test_photographs_are_resized_as_the_network_states(tmp_path: Path) -> None:
    """A crop that leaves out the border leaves out its colour."""
    image = Image.new("RGB", (60, 60), PIXELS["red"])
    image.paste(PIXELS["blue"], (15, 15, 45, 45))
    image.save(tmp_path / "blue_1.png")
    network = classifier((6, 6, 3))
    assert accuracy(network, tmp_path).top1 == 0
    cropped = replace(network.preprocessing, resizing=replace(COVER, crop=0.5))
    assert accuracy(replace(network, preprocessing=cropped), tmp_path).top1 == 1


def test_as_if_is_the_other_preprocessing(tmp_path: Path) -> None:
    """The network that was read with one preprocessing computes what it would compute with each other one."""
    path = tmp_path / "net.pb"
    path.write_bytes(classifier().graph_def.SerializeToString())
    images = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)
    ways: tuple[dict[str, Any], ...] = (
        {"preprocess": "tf"},
        {"preprocess": "torch"},
        {"preprocess": "caffe"},
        {"preprocess": "none"},
        {"value_range": (-3, 5)},
        {"mean": (0.1, 0.2, 0.3), "std": (0.5,), "channels": "bgr"},
    )
    networks = [load_model(str(path), **way) for way in ways]
    for now, other in itertools.product(networks, networks):
        expected = other.activations(images, ["classes"])["classes"]
        changed = as_if(images, now.preprocessing, other.preprocessing)
        values = now.activations(changed, ["classes"])["classes"]
        np.testing.assert_allclose(values, expected, rtol=2e-4, atol=2e-4)


def test_a_plain_network_has_a_plain_preprocessing() -> None:
    """As long as nothing is stated."""
    assert classifier().preprocessing == Preprocessing()


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    """No folder, none with images, no image that can be read, and a network without classes."""
    network = classifier()
    with pytest.raises(ExamplesError, match="no folder of images: found nothing"):
        accuracy(network, tmp_path / "none")
    with pytest.raises(ExamplesError, match="no image in the folder"):
        accuracy(network, tmp_path)
    (tmp_path / "red_1.png").write_bytes(b"none")
    with pytest.raises(ExamplesFolderError, match="no image can be read"):
        accuracy(network, tmp_path)
    with pytest.raises(ModelError, match=r"toy has no classes .*leave --images out"):
        accuracy(replace(network, output=None), tmp_path)
