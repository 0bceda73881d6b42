"""Tests of atlas.model.reading.value_range and image_range: which images a graph was written for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from atlas.model.reading.load import load_model
from graphs import conv, graph_def

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MEAN, STD = np.array([0.485, 0.456, 0.406], "f"), np.array([0.229, 0.224, 0.225], "f")
CAFFE = np.array([103.939, 116.779, 123.68], "f")


def network(before: Callable[[Any], Any], **given: Any) -> Network:
    """A network of one convolution behind what `before` does to images of 20 x 23."""
    graph = graph_def(lambda x: conv(before(x), 4, "first"))
    return network_of(Frozen("toy", "0" * 64, graph, **given))


def batch_norm(mean: Any, variance: Any) -> Callable[[Any], Any]:
    one = np.ones(3, np.float32)

    def apply(x: Any) -> Any:
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=one, offset=0 * one, mean=one * mean, variance=one * variance, is_training=False
        )[0]

    return apply


class TestReading:
    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            (lambda x: x / 255, (0, 255)),
            (lambda x: x * (1 / 256), (0, 255)),
            (lambda x: x / 127.5 - 1, (0, 255)),
            (lambda x: (x - 127.5) / 128, (0, 255)),
            (lambda x: (x - 128) * (1 / 127), (0, 255)),
            (lambda x: x / 255 - 0.5, (0, 255)),
            (lambda x: (x / 255 - MEAN) / STD, (0, 255)),
            (lambda x: (x - MEAN * 255) / (STD * 255), (0, 255)),
            (lambda x: x - CAFFE[::-1], (0, 255)),
            (lambda x: tf.reverse(x, [-1]) - CAFFE, (0, 255)),
            (lambda x: tf.gather(x, [2, 1, 0], axis=-1) - CAFFE, (0, 255)),
            (lambda x: tf.clip_by_value(x, 0, 255), (0, 255)),
            (lambda x: tf.clip_by_value(x / 255, 0, 1), (0, 255)),
            (batch_norm(118.0, 70.0**2), (0, 255)),
            (lambda x: x * 2 - 1, (0, 1)),
            (lambda x: (x - 0.5) * 2, (0, 1)),
            (lambda x: (x - MEAN) / STD, (0, 1)),
            (lambda x: x - MEAN, (0, 1)),
            (lambda x: (x - 0.1307) / 0.3081, (0, 1)),
            (lambda x: x * 255, (0, 1)),
            (lambda x: x * 255 - CAFFE[::-1], (0, 1)),
            (lambda x: 1 - x, (0, 1)),
            (batch_norm(0.45, 0.25**2), (0, 1)),
            (lambda x: x / 2 + 0.5, (-1, 1)),
            (lambda x: (x + 1) * 127.5, (-1, 1)),
            (lambda x: (x + 1) * 127.5 - CAFFE[::-1], (-1, 1)),
            (lambda x: x / 65535, (0, 65535)),
            (lambda x: x / 10000, (0, 10000)),
        ],
    )
    def test_scalings(self, before: Callable[[Any], Any], expected: tuple[float, float]) -> None:
        """What a graph does to grey tells the range that images were trained with; nothing is noted."""
        net = network(before)
        assert net.value_range == expected
        assert "read from the graph" in net.range_source
        assert net.notes == ()

    def test_pads_and_sizes(self) -> None:
        """Padding, resizing, pooling and other layers without weights in between do not disturb."""

        def before(x: Any) -> Any:
            x = tf.pad(tf.image.resize(x, (31, 37)), [[0, 0], [3, 3], [3, 3], [0, 0]])
            return tf.nn.space_to_depth(x[:, :36, :42] / 127.5 - 1, 2)

        assert network(before).value_range == (0, 255)

    def test_source_names_the_nodes(self) -> None:
        """The reason names what was read, and that channels are reversed."""
        source = network(lambda x: tf.subtract(tf.reverse(x, [-1]), CAFFE, name="means")).range_source
        assert "means before first/Conv2D" in source
        assert "channels are reversed" in source

    @pytest.mark.parametrize(
        ("before", "reason"),
        [
            (lambda x: x, "nothing precedes"),
            (lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "as they are"),
            (batch_norm(0.0, 1.0), "as they are"),
            (tf.image.per_image_standardization, "the same result for black"),
            (lambda x: tf.sqrt(tf.abs(x)), "no scaling"),
            (lambda x: x * 1e-6, "no scaling"),
        ],
    )
    def test_not_told(
        self, before: Callable[[Any], Any], reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where a graph does not tell, 0 to 1 is assumed, and log and notes say so and why."""
        net = network(before)
        assert net.value_range == (0, 1)
        assert reason in net.notes[0]
        assert net.notes[0].endswith("give --preprocess, --value-range, or --mean and --std")
        assert net.notes[0] in caplog.text


class TestGiven:
    def test_given_wins_and_the_contradiction_is_noted(self, caplog: pytest.LogCaptureFixture) -> None:
        """A range that was given counts; where the graph was written for another one, a note says so."""
        net = network(lambda x: x / 255, value_range=(0.0, 1.0), range_given=True)
        assert net.value_range == (0, 1)
        assert "contradict the graph: it was written for 0 to 255" in net.notes[0]
        assert net.notes[0] in caplog.text

    def test_agreement_is_silent(self) -> None:
        """A range that the graph agrees with, or says nothing of, is not noted."""
        for before in (lambda x: x / 255, lambda x: x):
            assert network(before, value_range=(0.0, 255.0), range_given=True).notes == ()


class TestKeras:
    @pytest.mark.parametrize("kind", ["ops", "nested", "normalization", "augmented", "caffe", "torch"])
    def test_keras_layers(self, tmp_path: Path, kind: str) -> None:
        """Keras's ways of preprocessing inside of a model all say 0 to 255."""
        layers, applications = keras.layers, keras.applications
        entry = keras.Input((24, 26, 3))
        if kind == "ops":
            x = applications.mobilenet_v2.preprocess_input(entry)
        elif kind == "caffe":
            x = applications.vgg16.preprocess_input(entry)
        elif kind == "torch":
            x = applications.densenet.preprocess_input(entry)
        elif kind == "nested":
            inner = keras.Sequential([keras.Input((24, 26, 3)), layers.Rescaling(1 / 127.5, -1)], name="pre")
            x = keras.Sequential([keras.Input((24, 26, 3)), inner], name="outer")(entry)
        elif kind == "normalization":
            x = layers.Normalization(mean=255 * MEAN, variance=(255 * STD) ** 2)(entry)
        else:
            x = layers.RandomContrast(0.1)(layers.RandomRotation(0.1)(layers.RandomFlip()(entry)))
            x = layers.Rescaling(1 / 255)(layers.Resizing(28, 30)(x))
        x = layers.Conv2D(4, 3, name="c1")(x)
        keras.Model(entry, layers.Conv2D(5, 3, name="c2")(x)).save(tmp_path / "net.keras")
        net = load_model(tmp_path / "net.keras")
        assert (net.value_range, net.notes) == ((0, 255), ())

    def test_rescaling_of_fractions(self, tmp_path: Path) -> None:
        """A Rescaling that centres fractions does not say 0 to 255."""
        layers = keras.layers
        model = keras.Sequential([keras.Input((20, 20, 3)), layers.Rescaling(2.0, -1.0), layers.Conv2D(4, 3)])
        model.save(tmp_path / "net.keras")
        assert load_model(tmp_path / "net.keras").value_range == (0, 1)


@pytest.mark.parametrize("preprocess", ["tf", "torch"])
def test_a_second_preprocessing_is_refused(tmp_path: Path, preprocess: str) -> None:
    """Preprocessing given for a graph that preprocesses itself is refused, or noted where it is a range."""
    (tmp_path / "net.pb").write_bytes(graph_def(lambda x: conv(x / 255, 4, "a")).SerializeToString())
    if preprocess == "torch":
        with pytest.raises(ModelError, match=r"preprocesses its images itself.*leave --preprocess"):
            load_model(tmp_path / "net.pb", preprocess=preprocess)
    else:
        net = load_model(tmp_path / "net.pb", preprocess=preprocess)
        assert (net.value_range, len(net.notes)) == ((-1, 1), 1)
