"""Several inputs, inputs of other types, and inputs in the middle of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from graphs import conv, dense, graph_def

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
v1 = tf.compat.v1
IMAGES = np.random.default_rng(3).random((3, 24, 28, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def siamese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images through one tower, joined by a concatenation, to three classes."""
    layers = keras.layers
    tower = keras.Sequential(
        [
            keras.Input((24, 28, 3)),
            layers.Conv2D(4, 3, activation="relu", name="c1"),
            layers.Conv2D(5, 3, name="c2"),
        ],
        name="tower",
    )
    left, right = keras.Input((24, 28, 3), name="left"), keras.Input((24, 28, 3), name="right")
    both = [layers.GlobalAveragePooling2D()(tower(each)) for each in (left, right)]
    end = layers.Dense(3, bias_initializer="ones", name="d")(layers.Concatenate()(both))
    path = tmp_path_factory.mktemp("siamese") / "siamese.keras"
    keras.Model([left, right], end).save(path)
    return path


class TestSeveralInputs:
    def test_one_is_asked_for(self, siamese: Path) -> None:
        """Of two images neither is guessed: the names to choose from are in the message."""
        with pytest.raises(ModelError, match=r"left, right.*--input left"):
            load_model(siamese)

    @pytest.mark.parametrize("name", ["left", "right", "left:0"])
    def test_shared_tower(self, siamese: Path, name: str) -> None:
        """The layers behind the chosen input are those of the tower, by its names; the other is held."""
        net = load_model(siamese, input_name=name, value_range=(0, 1))
        assert [layer.name.rpartition("/")[2] for layer in net.layers] == ["c1", "c2", "d"]
        assert [layer.receptive_field.size[0] for layer in net.layers if layer.receptive_field] == [3, 5]
        other = "right" if name.startswith("left") else "left"
        assert net.notes == (f"the input {other} is held at zero",)
        model = keras.models.load_model(siamese)
        zero = np.zeros_like(IMAGES)
        expected = model([IMAGES, zero] if name.startswith("left") else [zero, IMAGES])
        got = net.activations(IMAGES, ["d"])["d"]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("value", [None, 0.5, [[0.1, 0.2, 0.3, 0.4, 0.5]]])
    def test_values_beside_the_image(self, tmp_path: Path, value: Any) -> None:
        """A vector beside the image is held at zero or at the value given, and several images run at once."""
        layers = keras.layers
        image, age = keras.Input((24, 28, 3), name="image"), keras.Input((5,), name="age")
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="c1")(image))
        x = layers.Concatenate()([x, layers.Dense(3, name="hidden")(age)])
        model = keras.Model([image, age], layers.Dense(2, name="d")(x))
        model.save(tmp_path / "meta.keras")
        inputs = {} if value is None else {"age": value}
        net = load_model(tmp_path / "meta.keras", input_name="image", inputs=inputs, value_range=(0, 1))
        held = np.broadcast_to(np.asarray(0 if value is None else value, np.float32), (3, 5))
        np.testing.assert_allclose(
            net.activations(IMAGES, ["d"])["d"], model([IMAGES, held]), rtol=1e-4, atol=1e-5
        )
        assert net.notes == (f"the input age is held at {'zero' if value is None else value}",)

    def test_without_a_choice_it_is_refused(self, tmp_path: Path) -> None:
        """An input beside the only image is held when --input says so, not before."""
        image, age = keras.Input((24, 28, 3), name="image"), keras.Input((24, 28, 1), name="depth")
        x = keras.layers.Concatenate()([image, age])
        keras.Model([image, age], keras.layers.Conv2D(4, 3)(x)).save(tmp_path / "two.keras")
        with pytest.raises(ModelError, match=r"image, depth.*--input image"):
            load_model(tmp_path / "two.keras")

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"gone": 1}, r"names 'gone'.*depth"),
            ({"depth": [1, 2]}, "cannot be held"),
            ({"depth": "x"}, "held"),
        ],
    )
    def test_wrong_values(self, tmp_path: Path, inputs: dict[str, Any], message: str) -> None:
        """A value for no input, or of no fitting shape, is refused."""

        def build(x: Any) -> None:
            conv(x + v1.placeholder(tf.float32, [None, 20, 23, 3], name="depth"), 4, "a")

        (tmp_path / "net.pb").write_bytes(graph_def(build).SerializeToString())
        with pytest.raises(ModelError, match=message):
            load_model(tmp_path / "net.pb", input_name="input", inputs=inputs)

    def test_a_single_number_must_be_given(self, tmp_path: Path) -> None:
        """A number like a dropout's is not taken to be zero: it is asked for, and taken from the config."""

        def build(x: Any) -> None:
            conv(conv(x, 4, "a") / v1.placeholder(tf.float32, [], name="keep"), 5, "b")

        (tmp_path / "net.pb").write_bytes(graph_def(build).SerializeToString())
        with pytest.raises(ModelError, match=r"keep.*\[model\.inputs\] keep = 1"):
            load_model(tmp_path / "net.pb", input_name="input")
        net = load_model(tmp_path / "net.pb", inputs={"keep": 0.5}, value_range=(0, 1))
        got = net.activations(IMAGES, ["a", "truediv:0"])
        np.testing.assert_allclose(got["truediv:0"], 2 * got["a"], rtol=1e-5)


class TestTypes:
    @pytest.mark.parametrize("dtype", [tf.uint8, tf.int32, tf.uint16])
    def test_whole_numbers(self, tmp_path: Path, dtype: Any) -> None:
        """An input of whole numbers is read with their range, and has gradients: nothing is rounded."""
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(dtype, [None, 20, 23, 3], name="images")
            x = tf.cast(tf.reverse(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), [-1]), tf.float32)
            conv(x / 255.0, 4, "a")
        (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
        net = load_model(tmp_path / "net.pb", input_name="images")
        high = 65535 if dtype == tf.uint16 else 255
        assert (net.value_range, net.notes) == ((0, high), ())
        whole = np.random.default_rng(0).integers(0, 255, (2, 20, 23, 3))
        with v1.Session(graph=graph) as session:
            expected = session.run("a/Relu:0", {"images:0": whole})
        got = net.activations(whole / high, ["a"])["a"]
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
        with tf.Graph().as_default():
            images = v1.placeholder_with_default(tf.constant(whole[:1] / high, tf.float32), [1, 20, 23, 3])
            (slope,) = v1.gradients(net.import_into(images)("a/BiasAdd:0"), images)
            with v1.Session() as session:
                assert np.abs(session.run(slope)).min() > 0

    @pytest.mark.parametrize("dtype", [tf.float16, tf.float64, tf.bfloat16])
    def test_other_floats(self, tmp_path: Path, dtype: Any) -> None:
        """A graph of halves or doubles is computed in float32."""
        kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(dtype, [None, 20, 23, 3], name="images")
            y = tf.nn.conv2d(x, tf.cast(tf.constant(kernel), dtype), 1, "SAME", name="a")
            tf.nn.relu(tf.nn.bias_add(y, tf.cast(tf.constant([1.0, 2, 3, 4]), dtype)), name="end")
        (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
        net = load_model(tmp_path / "net.pb", value_range=(0, 1))
        image = IMAGES[:1, :20, :23]
        expected = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(image, kernel, 1, "SAME"), [1.0, 2, 3, 4]))
        got = net.activations(image, ["end:0"])["end:0"]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)

    def test_mixed_precision(self, tmp_path: Path) -> None:
        """A Keras model of mixed precision gives what its float32 copy gives."""
        layers = keras.layers

        def model(policy: str) -> Any:
            kept = keras.config.dtype_policy()
            keras.config.set_dtype_policy(policy)
            try:
                return keras.Sequential(
                    [
                        keras.Input((24, 28, 3)),
                        layers.Conv2D(4, 3, activation="relu", name="c1"),
                        layers.BatchNormalization(),
                        layers.GlobalAveragePooling2D(),
                        layers.Dense(5, dtype="float32", name="d"),
                    ]
                )
            finally:
                keras.config.set_dtype_policy(kept)

        mixed, single = model("mixed_float16"), model("float32")
        single.set_weights(mixed.get_weights())
        mixed.save(tmp_path / "mixed.keras")
        net = load_model(tmp_path / "mixed.keras", value_range=(0, 1))
        np.testing.assert_allclose(net.activations(IMAGES, ["d"])["d"], single(IMAGES), rtol=1e-4, atol=1e-5)

    def test_arithmetic_of_whole_numbers_is_refused(self, tmp_path: Path) -> None:
        """An op that does something else to floats than to whole numbers is refused by name."""
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.int32, [None, 20, 23, 3], name="images")
            conv(tf.cast(tf.math.floordiv(x, 7, name="halved"), tf.float32), 4, "a")
        (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
        with pytest.raises(ModelError, match=r"halved \(FloorDiv\)"):
            load_model(tmp_path / "net.pb")


def test_channels_first(tmp_path: Path) -> None:
    """Images of a network that turns them to channels last itself enter with channels last."""
    layers = keras.layers
    entry = keras.Input((3, 24, 28))
    x = layers.Conv2D(4, 3, name="a")(layers.Permute((2, 3, 1))(entry))
    model = keras.Model(entry, x)
    model.save(tmp_path / "net.keras")
    net = load_model(tmp_path / "net.keras", value_range=(0, 1))
    assert net.input_shape == (24, 28, 3)
    expected = model(IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(net.activations(IMAGES, ["a"])["a"], expected, rtol=1e-4, atol=1e-5)


def test_an_input_in_the_middle(tmp_path: Path) -> None:
    """A tensor in the middle of a graph may take the images; what leads to it, a decoder, is cut off."""
    with tf.Graph().as_default() as graph:
        data = v1.placeholder(tf.string, [], name="contents")
        image = tf.cast(tf.io.decode_jpeg(data, channels=3), tf.float32)
        x = tf.multiply(tf.image.resize(image[None], (20, 23)), 1.0, name="Mul")
        dense(tf.reduce_mean(conv(x, 4, "a"), [1, 2]), 5, "b")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    net = load_model(tmp_path / "net.pb", input_name="Mul:0", input_shape=(20, 23, 3), value_range=(0, 1))
    assert [layer.name for layer in net.layers] == ["a", "b"]
    assert "contents" not in net.view.nodes
    with pytest.raises(ModelError, match="--input"):
        load_model(tmp_path / "net.pb")


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    """Images of any number of channels are read."""
    shape = (None, 20, 23, channels)
    (tmp_path / "net.pb").write_bytes(graph_def(lambda x: conv(x, 4, "a"), shape).SerializeToString())
    net = load_model(tmp_path / "net.pb", value_range=(0, 1))
    assert net.input_shape == (20, 23, channels)
    assert net.activations(np.ones((2, 20, 23, channels)), ["a"])["a"].shape == (2, 20, 23, 4)
