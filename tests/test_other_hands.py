"""Networks as other hands write them are right: their layers, fields and weights, and a draft of a site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import other_hands
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from other_hands import Draw, Hand, keras, v1

from atlas.analysis.weights import expanded_weights
from atlas.cli import commands
from atlas.cli.model_report import model_lines
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from atlas.site import check_site
from examination import operating_images
from keras_twin import KerasTwin
from oracles import trimmed

pytestmark = [
    pytest.mark.slow,
    # Keras 3 and NumPy 2 disagree on an argument; neither is ours.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
Array = NDArray[Any]
CLOSE = 1e-4
BYTES = (0.0, 255.0)


@dataclass(frozen=True)
class OfOps:
    """A network in TensorFlow's ops: how it is drawn, and how and where it is kept."""

    draw: Draw
    write: Callable[[Draw, Any, Path], None]
    shape: tuple[int, int, int]
    file: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the name that tests bear."""
        return self.file

    def slopes(self, source: str, target: str, *, positive: bool = False) -> Array:
        """Return the gradient of the middle position by a layer or by the image, in the linear twin."""
        with tf.Graph().as_default() as graph:
            hand = Hand(linear=True, positive=positive)
            x = v1.placeholder(tf.float64 if positive else tf.float32, [None, *self.shape], name="input")
            self.draw(hand, x)
            start, end = hand.noted.get(source, x), hand.noted[target]
            h, w, n = (int(length) for length in end.shape[1:])
            unit = end[0, h // 2, w // 2]
            units = [tf.reduce_sum(unit)] if positive else [unit[c] for c in range(n)]
            found = [tf.gradients(one, start)[0] for one in units]
            with v1.Session(graph=graph) as session:
                return np.stack(session.run(found, {x: np.ones((1, *self.shape))}), -1)[0]


OPS = (
    OfOps(other_hands.resnet_v2, other_hands.frozen, (64, 72, 3), "resnet_v2.pb"),
    OfOps(other_hands.deeplab, other_hands.frozen, (48, 64, 3), "deeplab.pb"),
    OfOps(other_hands.shufflenet, other_hands.frozen, (40, 48, 3), "shufflenet.pb"),
    OfOps(other_hands.plain, other_hands.hub, (40, 48, 3), "hub", more={"signature": "image_feature_vector"}),
    OfOps(other_hands.plain, other_hands.tf1, (40, 48, 3), "tf1"),
)


@dataclass(frozen=True)
class OfKeras:
    """A network in Keras: how it is built, and what black and white are."""

    build: Callable[[], Any]
    value_range: tuple[float, float]
    file: str

    def __str__(self) -> str:
        """Return the name that tests bear."""
        return self.file


KERAS = (
    OfKeras(other_hands.efficientnet_lite, BYTES, "efficientnet_lite.keras"),
    OfKeras(other_hands.unet, (0.0, 1.0), "unet.keras"),
    OfKeras(other_hands.detector, BYTES, "detector.keras"),
    OfKeras(other_hands.convnext, (0.0, 1.0), "convnext.keras"),
)
each_of_ops = pytest.mark.parametrize("case", OPS, ids=str)
each_of_keras = pytest.mark.parametrize("case", KERAS, ids=str)


def written(case: OfOps, folder: Path) -> Network:
    case.write(case.draw, case.shape, folder / case.file)
    return load_model(folder / case.file, value_range=(0.0, 1.0), **case.more)


def seen(slopes: Array) -> tuple[int, int]:
    """Return the (height, width) of what is not zero."""
    h, w = trimmed(slopes).shape[:2]
    return h, w


def compared(network: Network, names: list[str], slopes: Callable[[str, str], Array]) -> int:
    """Compare expanded weights of neighbours with gradients of the twin; return how many pairs there were."""
    pairs = list(pairwise(names))
    for source, target in pairs:
        right = trimmed(slopes(source, target))
        found = trimmed(expanded_weights(network, source, target))
        assert found.shape == right.shape, (source, target)
        assert np.abs(found - right).max() <= CLOSE * np.abs(right).max(), (source, target)
    return len(pairs)


def drafted(path: Path, names: list[str], *more: str) -> None:
    """Build a draft of two neurons of some layers, and check the site."""
    site = path.parent / "site"
    arguments = ["build", "--model", str(path), "--layers", ",".join(names), "--preset", "draft"]
    arguments += ["--neurons", ",".join(f"{name}:0-1" for name in names), "--site", str(site), *more]
    done = CliRunner().invoke(commands.main, arguments)
    assert done.exit_code == 0, done.output
    assert check_site(site) == ()


@each_of_ops
def test_fields_of_ops(case: OfOps, tmp_path: Path) -> None:
    """Every layer is listed by the name in the graph, and sees the pixels that gradients reach."""
    network, hand = written(case, tmp_path), Hand()
    with tf.Graph().as_default():
        case.draw(hand, v1.placeholder(tf.float32, [None, *case.shape]))
    for name, tensor in hand.noted.items():
        layer = network.layer(name)
        assert (*layer.shape, layer.n_channels) == tuple(tensor.shape[1:]), name
        assert layer.receptive_field is not None
        assert layer.receptive_field.size == seen(case.slopes("input", name, positive=True)), name


@each_of_ops
def test_weights_of_ops(case: OfOps, tmp_path: Path) -> None:
    """Expanded weights of neighbouring layers of the trunk are the gradients of the twin."""
    network, hand = written(case, tmp_path), Hand()
    with tf.Graph().as_default():
        case.draw(hand, v1.placeholder(tf.float32, [None, *case.shape]))
    trunk = {layer.name for layer in network.trunk}
    assert compared(network, [n for n in hand.noted if network.layer(n).name in trunk], case.slopes)
    assert not [line for line in model_lines(network) if "cannot be linearized" in line]


@each_of_ops
def test_draft_of_ops(case: OfOps, tmp_path: Path) -> None:
    """A draft of a site is built, with the answers that TensorFlow gives."""
    network = written(case, tmp_path)
    names = [layer.name for layer in network.trunk if layer.name != network.output]
    more = ["--signature", case.more["signature"]] if "signature" in case.more else []
    drafted(tmp_path / case.file, names[-2:], "--value-range", "0,1", *more)


def test_both_signatures(tmp_path: Path) -> None:
    """Each signature is read by its name; without one the message names both."""
    other_hands.hub(other_hands.plain, (40, 48, 3), tmp_path / "hub")
    read = {
        name: [layer.name for layer in load_model(tmp_path / "hub", signature=name).layers]
        for name in ("image_classification", "image_feature_vector")
    }
    assert read["image_feature_vector"] == ["stem", "body"]
    assert read["image_classification"][:2] == ["stem", "body"]
    assert len(read["image_classification"]) == 3


@each_of_keras
def test_range_and_fields_of_keras(case: OfKeras, tmp_path: Path) -> None:
    """The range is read from the graph; every layer sees the pixels that gradients reach."""
    model = case.build()
    model.save(tmp_path / case.file)
    network = load_model(tmp_path / case.file)
    assert network.value_range == pytest.approx(case.value_range)
    twin = KerasTwin(model, operating_images(network), positive=True)
    found = 0
    for layer in network.layers:
        if layer.name not in twin.tensors or layer.receptive_field is None or not layer.shape:
            continue
        size = layer.receptive_field.size
        if any(2 * a > b for a, b in zip(size, network.input_shape, strict=False)):
            continue  # a border may cut it
        boxes = [box for pair in twin.boxes(layer.name).values() for box in pair]
        assert max(last - first + 1 for first, last in boxes) == max(size), layer.name
        found += 1
    assert found >= 4


@each_of_keras
def test_weights_of_keras(case: OfKeras, tmp_path: Path) -> None:
    """Expanded weights of neighbouring layers of the trunk are the gradients of Keras's linear copy."""
    model = case.build()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    model.save(tmp_path / case.file)
    network = load_model(tmp_path / case.file)
    low, high = case.value_range
    twin = KerasTwin(model, low + operating_images(network) * (high - low))
    names = [layer.name for layer in network.trunk if layer.shape and layer.name in twin.tensors]

    def slopes(source: str, target: str) -> Array:
        # A convolution's layer ends behind its norm.
        ends = [f"{name}_bn" if f"{name}_bn" in twin.tensors else name for name in (source, target)]
        return twin.slopes(*ends, list(range(network.layer(target).n_channels)))

    assert compared(network, names, slopes) >= 3
    assert not [line for line in model_lines(network) if "cannot be linearized" in line]


@each_of_keras
def test_draft_of_keras(case: OfKeras, tmp_path: Path) -> None:
    """A draft of a site is built of two late layers."""
    case.build().save(tmp_path / case.file)
    network = load_model(tmp_path / case.file)
    names = [layer.name for layer in network.trunk if layer.name != network.output and layer.shape]
    drafted(tmp_path / case.file, names[-2:])


def test_siamese_tower(tmp_path: Path) -> None:
    """Of two images one is asked for; the shared tower's layers have its names, fields and weights."""
    tower = other_hands.tower()
    other_hands.siamese(tower).save(tmp_path / "siamese.keras")
    network = load_model(tmp_path / "siamese.keras", input_name="right", value_range=(0, 1))
    assert any("left" in note and "zero" in note for note in network.notes)
    fields = [network.layer(name).receptive_field for name in ("t1", "t2", "t3")]
    assert [one and one.size for one in fields] == [(5, 5), (15, 15), (23, 23)]
    twin = KerasTwin(tower, operating_images(network))

    def slopes(source: str, target: str) -> Array:
        return twin.slopes(source, target, list(range(network.layer(target).n_channels)))

    assert compared(network, ["t1", "t2", "t3"], slopes) == 2
    drafted(tmp_path / "siamese.keras", ["tower/t2", "tower/t3"], "--input", "right")
