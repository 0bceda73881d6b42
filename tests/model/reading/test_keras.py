"""Tests of atlas.model.reading.keras, keras_names and freezing: Keras models and SavedModels."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.core.preprocessing import Preprocessing
from atlas.model.graph.backend import tf
from atlas.model.reading.freezing import folder_sha256
from atlas.model.reading.load import load_model

keras = pytest.importorskip("keras")
# Keras 3 saves its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
IMAGES = np.random.default_rng(5).random((2, 18, 22, 3)).astype(np.float32)


def toy(rescaled: bool = False) -> Any:
    """A small MobileNet-like model: conv, norm, relu6, depthwise, gate, swish, residual, classes."""
    layers = keras.layers
    x = entry = keras.Input((18, 22, 3))
    if rescaled:
        x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="swish", name="block_depthwise")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="block_gate")(gate)
    y = layers.Conv2D(4, 1, name="block_project")(layers.Multiply()([y, gate]))
    x = layers.Add(name="block_add")([x, layers.Dropout(0.3)(y)])
    x = layers.Conv2D(5, 3, activation="gelu")(x)
    x = layers.Conv2D(7, 3, activation="relu")(x)
    x = layers.Dense(6, activation="softmax", name="classes")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(entry, x, name="toy")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.9, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one toy model in every form: toy.keras, toy.h5, and the SavedModel exported."""
    folder = tmp_path_factory.mktemp("keras")
    model = toy()
    model.save(folder / "toy.keras")
    model.export(folder / "exported", verbose=False)
    np.save(folder / "logits.npy", keras.Model(model.input, model.get_layer("classes").input)(IMAGES).numpy())
    np.save(folder / "classes.npy", model(IMAGES).numpy())
    return folder


class TestKerasFile:
    def test_layers_bear_their_names(self, saved: Path) -> None:
        """Layers are called as in Keras, numbered ones too, and stand after norm and activation."""
        net = load_model(saved / "toy.keras", value_range=(0, 1))
        assert [net.trunk[i].name for i in (0, 1, 4)] == ["stem", "block_add", "classes"]
        assert {"block_depthwise", "block_gate", "block_project"} <= {layer.name for layer in net.layers}
        assert [layer.kind for layer in net.trunk] == ["conv", "add", "conv", "conv", "dense"]
        assert net.layer("stem").tensor == "stem_relu/Relu6:0"
        names = {layer.name for layer in keras.models.load_model(saved / "toy.keras").layers}
        assert {layer.name for layer in net.layers} <= names

    def test_values(self, saved: Path) -> None:
        """The network computes what the Keras model does; its output is in front of the softmax."""
        net = load_model(saved / "toy.keras", value_range=(0, 1))
        logits = net.activations(IMAGES, ["classes"])["classes"]
        scores = np.exp(logits - logits.max(1, keepdims=True))
        expected = np.load(saved / "classes.npy")
        np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), expected, rtol=1e-4, atol=1e-6)

    def test_rescaling_tells_the_range(self, tmp_path: Path) -> None:
        """A model that rescales its images itself reads 0 to 255."""
        toy(rescaled=True).save(tmp_path / "scaled.keras")
        assert load_model(tmp_path / "scaled.keras").value_range == (0.0, 255.0)

    def test_submodels(self, tmp_path: Path) -> None:
        """Layers of a model inside a model are named by both."""
        inner = keras.Sequential(
            [keras.Input((18, 22, 3)), keras.layers.Conv2D(4, 3, name="edge")], name="stem"
        )
        keras.Sequential([inner, keras.layers.Conv2D(5, 3, name="end")]).save(tmp_path / "nested.keras")
        assert [layer.name for layer in load_model(tmp_path / "nested.keras").layers] == ["stem/edge", "end"]

    def test_broken_file(self, tmp_path: Path) -> None:
        """A damaged file, and a model that reads no images, are refused."""
        (tmp_path / "broken.keras").write_bytes(b"PK nonsense")
        with pytest.raises(ModelError, match=r"broken\.keras"):
            load_model(tmp_path / "broken.keras")
        keras.Sequential([keras.Input((9,)), keras.layers.Dense(3)]).save(tmp_path / "flat.keras")
        with pytest.raises(ModelError, match="does not read images"):
            load_model(tmp_path / "flat.keras")

    def test_no_input(self, tmp_path: Path) -> None:
        """A model that was never called does not say what it reads."""
        with pytest.warns(UserWarning, match="not yet been built"):
            keras.Sequential([keras.layers.Conv2D(3, 3)]).save(tmp_path / "net.keras")
        with pytest.raises(ModelError, match="does not say what it reads"):
            load_model(tmp_path / "net.keras")

    def test_fixed_batch(self, tmp_path: Path) -> None:
        """A model of one batch size takes any number of images."""
        layers = keras.layers
        entry = keras.Input(batch_shape=(2, 18, 22, 3))
        x = layers.Reshape((18 * 22, 3))(layers.Conv2D(3, 3, padding="same", name="a")(entry))
        model = keras.Model(entry, layers.Dense(4, name="d")(layers.Flatten()(x)))
        model.save(tmp_path / "net.keras")
        net = load_model(tmp_path / "net.keras", value_range=(0, 1))
        three = np.concatenate([IMAGES, IMAGES[:1]])
        got = net.activations(three, ["d"])["d"]
        np.testing.assert_allclose(got[:2], model(IMAGES), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got[2], got[0], rtol=1e-5)

    def test_integer_input(self, tmp_path: Path) -> None:
        """A Keras input of bytes is read with their range."""
        entry = keras.Input((18, 22, 3), dtype="uint8")
        keras.Model(entry, keras.layers.Conv2D(3, 3)(keras.ops.cast(entry, "float32"))).save(
            tmp_path / "net.keras"
        )
        assert load_model(tmp_path / "net.keras").value_range == (0, 255)

    @pytest.mark.parametrize("kind", ["list", "dictionary"])
    def test_a_layer_that_is_also_an_output(self, tmp_path: Path, kind: str) -> None:
        """What follows a layer is found though the model returns that layer too; inputs may be named."""
        entry = keras.Input((18, 22, 3), name="image")
        first = keras.layers.Conv2D(4, 3, name="a")(entry)
        ends = [first, keras.layers.Conv2D(5, 3, name="b")(first)]
        if kind == "list":
            model = keras.Model(entry, ends)
        else:
            model = keras.Model({"image": entry}, {"x": ends[0], "y": ends[1]})
        model.save(tmp_path / "net.keras")
        net = load_model(tmp_path / "net.keras", value_range=(0, 1))
        assert [layer.name for layer in net.layers] == ["a", "b"]
        model.export(tmp_path / "net", verbose=False)
        assert [layer.name for layer in load_model(tmp_path / "net").layers] == ["a", "b"]

    def test_recurrent(self, tmp_path: Path) -> None:
        """A recurrent layer, which is a loop, is refused."""
        layers = keras.layers
        model = keras.Sequential([keras.Input((18, 22, 3)), layers.Reshape((18, 66)), layers.LSTM(4)])
        model.save(tmp_path / "net.keras")
        with pytest.raises(ModelError, match=r"net\.keras.*has a loop, as recurrent layers do"):
            load_model(tmp_path / "net.keras")


class TestFiles:
    """Files that are not what their name says, or not whole."""

    @pytest.fixture
    def plain(self, tmp_path: Path) -> Path:
        """A folder with a small model in net.keras and in net.h5."""
        model = keras.Sequential([keras.Input((18, 22, 3)), keras.layers.Conv2D(4, 3, name="a")])
        for ending in ("keras", "h5"):
            model.save(tmp_path / f"net.{ending}")
        return tmp_path

    @pytest.mark.parametrize("share", [0.5, 0.999])
    def test_an_archive_that_is_cut_off(self, plain: Path, share: float) -> None:
        """Half of a file, or all but its end, is told from a file of another kind."""
        data = (plain / "net.keras").read_bytes()
        (plain / "cut.keras").write_bytes(data[: int(share * len(data))])
        with pytest.raises(ModelError, match=r"found an archive that is cut off.*copy or save it again"):
            load_model(plain / "cut.keras")

    @pytest.mark.parametrize(("own", "other"), [("keras", "h5"), ("h5", "keras")])
    def test_the_other_ending(self, plain: Path, own: str, other: str) -> None:
        """Keras goes by the ending: what the file should be called is told."""
        (plain / f"moved.{other}").write_bytes((plain / f"net.{own}").read_bytes())
        with pytest.raises(ModelError, match=rf"expected the ending \.{own}; call it moved\.{own}$"):
            load_model(plain / f"moved.{other}")

    def test_images_that_nobody_has(self, tmp_path: Path) -> None:
        """TensorFlow would abort the process."""
        keras.Sequential([keras.Input((100000, 100000, 3)), keras.layers.Conv2D(2, 3)]).save(
            tmp_path / "net.keras"
        )
        with pytest.raises(ModelError, match="100000 x 100000 x 3, expected 67,108,864 values at most"):
            load_model(tmp_path / "net.keras")

    def test_code_that_ends_the_program(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A module of the user's cannot end the build as if it were done."""
        (plain / "ends_all.py").write_text("import sys\nsys.exit(0)\n")
        monkeypatch.chdir(plain)
        monkeypatch.syspath_prepend(str(plain))
        with pytest.raises(ModelError, match="the module ends_all of --custom-objects cannot be imported"):
            load_model("net.keras", custom_objects=["ends_all:Layer"])


class TestCode:
    """Code in a Keras file: a user's own classes, and Lambda layers."""

    SOURCE = (
        "import keras\n"
        "class Scaled(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 3 * x\n"
        "def thrice(x):\n"
        "    return 3 * x\n"
        "EVERYTHING = {'Scaled': Scaled, 'thrice': thrice}\n"
    )

    @pytest.fixture
    def own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A module of the user's in the working folder, and a model with its layer in net.keras."""
        (tmp_path / "own_layers.py").write_text(self.SOURCE)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        module = importlib.import_module("own_layers")
        layers = [keras.Input((18, 22, 3)), keras.layers.Conv2D(4, 3, name="a"), module.Scaled(name="s")]
        model = keras.Sequential([*layers, keras.layers.Conv2D(5, 3, name="b", activation=module.thrice)])
        model.save("net.keras")
        yield model
        del sys.modules["own_layers"]

    @pytest.mark.parametrize(
        "names", [("own_layers:Scaled", "own_layers:thrice"), ("own_layers:EVERYTHING",)]
    )
    def test_custom_objects(self, own: Any, names: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
        """Named classes and functions are imported from the working folder, which the log says."""
        net = load_model("net.keras", value_range=(0, 1), custom_objects=names)
        got = net.activations(IMAGES, ["b"])["b"] if net.layer("b") else None
        assert got is not None
        assert "the code of the Python module own_layers is run" in caplog.text
        assert [layer.name for layer in net.layers] == ["a", "b"]

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ((), r"holds code.*found own_layers\.Scaled.*--custom-objects module:Scaled"),
            (("own_layers:Scaled",), "thrice"),
            (("own_layers:Scald",), r"no Scald; did you mean Scaled"),
            (("own_layrs:Scaled",), r"own_layrs of --custom-objects cannot be imported"),
            (("Scaled",), "module:name"),
        ],
    )
    def test_missing_objects(self, own: Any, names: tuple[str, ...], message: str) -> None:
        """What is missing or misnamed is refused in one line."""
        with pytest.raises(ModelError, match=message):
            load_model("net.keras", custom_objects=names)

    @pytest.mark.parametrize(
        ("legacy", "end"), [(False, "layer"), (False, "function"), (True, "layer")], ids=str
    )
    @pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
    def test_h5_of_own_code(self, tmp_path: Path, legacy: bool, end: str) -> None:
        """HDF5 tells no module: Keras's own words are followed by what to name, in one line."""
        library = pytest.importorskip("tf_keras") if legacy else keras

        class Doubled(library.layers.Layer):
            def call(self, x: Any) -> Any:
                return 2 * x

        def doubled(x: Any) -> Any:
            return 2 * x

        start = library.Input((18, 22, 3))
        x = library.layers.Conv2D(4, 3, activation=doubled if end == "function" else None)(start)
        library.Model(start, Doubled()(x) if end == "layer" else x).save(tmp_path / "net.h5")
        name = "Doubled" if end == "layer" else "doubled"
        with pytest.raises(ModelError, match=rf"'{name}'; name it with --custom-objects module:{name}") as e:
            load_model(tmp_path / "net.h5")
        assert "\n" not in str(e.value)

    def test_lambda(self, tmp_path: Path) -> None:
        """A Lambda layer is refused with the way out, and computed with `unsafe`."""
        layers = keras.layers
        model = keras.Sequential(
            [keras.Input((18, 22, 3)), layers.Lambda(lambda x: x * 2 - 1), layers.Conv2D(4, 3, name="a")]
        )
        model.save(tmp_path / "net.keras")
        with pytest.raises(ModelError, match="--unsafe"):
            load_model(tmp_path / "net.keras")
        net = load_model(tmp_path / "net.keras", unsafe=True)
        assert net.value_range == (0, 1)
        np.testing.assert_allclose(net.activations(IMAGES, ["a"])["a"], model(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.h5 and net.keras of one model of Keras 2, and what it answers in answer.npy."""
    folder = tmp_path_factory.mktemp("keras2")
    code = (
        "import sys, numpy as np, tf_keras as keras\n"
        "layers = keras.layers\n"
        "x = entry = keras.Input((18, 22, 3))\n"
        "x = keras.applications.mobilenet_v2.preprocess_input(x)\n"
        "x = layers.Conv2D(4, 3, name='conv1', activation='relu')(x)\n"
        "x = layers.DepthwiseConv2D(3, name='dw')(x)\n"
        "x = layers.Dense(5, name='d')(layers.GlobalAveragePooling2D()(x))\n"
        "model = keras.Model(entry, x)\n"
        "[model.save(f'{sys.argv[1]}/net.{end}') for end in ('h5', 'keras')]\n"
        "images = np.random.default_rng(5).random((2, 18, 22, 3)).astype('f') * 255\n"
        "np.save(f'{sys.argv[1]}/answer.npy', model(images))\n"
    )
    pytest.importorskip("tf_keras")
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)
    return folder


class TestKeras2:
    """Files that Keras 2 wrote."""

    @pytest.mark.parametrize("name", ["net.h5", "net.keras"])
    def test_read_by_keras_2(self, keras_2: Path, name: str) -> None:
        """Both kinds of file are read, with the range that their ops say."""
        net = load_model(keras_2 / name)
        assert [layer.name for layer in net.layers] == ["conv1", "dw", "d"]
        assert net.value_range == (0, 255)
        got = net.activations(IMAGES, ["d"])["d"]
        np.testing.assert_allclose(got, np.load(keras_2 / "answer.npy"), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("name", ["net.h5", "net.keras"])
    def test_refused_without_keras_2(self, keras_2: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Keras 2 is not installed, the way out is told."""
        monkeypatch.setitem(sys.modules, "tf_keras", None)
        with pytest.raises(ModelError, match=r"written by Keras 2.*circuit-atlas\[keras2\]"):
            load_model(keras_2 / name)


class TestSavedModel:
    def test_values(self, saved: Path) -> None:
        """A SavedModel is read by its signature, and gives the Keras file's values and names."""
        net = load_model(saved / "exported", value_range=(0, 1))
        first = load_model(saved / "toy.keras", value_range=(0, 1))
        assert {layer.name for layer in net.layers} == {layer.name for layer in first.layers}
        np.testing.assert_allclose(
            net.activations(IMAGES, [net.output])[net.output],
            first.activations(IMAGES, ["classes"])["classes"],
            rtol=1e-4,
        )
        assert [layer.kind for layer in net.trunk] == ["conv", "add", "conv", "conv", "dense"]

    def test_pb_of_a_saved_model(self, saved: Path) -> None:
        """Naming the saved_model.pb alone is told apart from a broken file."""
        with pytest.raises(ModelError, match=r"part of a SavedModel.*name its folder"):
            load_model(saved / "exported" / "saved_model.pb")

    def test_broken(self, saved: Path, tmp_path: Path) -> None:
        """A SavedModel whose variables are gone is refused."""
        shutil.copytree(saved / "exported", tmp_path / "m")
        shutil.rmtree(tmp_path / "m" / "variables")
        with pytest.raises(ModelError, match="SavedModel"):
            load_model(tmp_path / "m")

    def test_without_signature(self, tmp_path: Path) -> None:
        """A SavedModel that does not say how it is called is refused."""
        tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
        with pytest.raises(ModelError, match="serving_default"):
            load_model(tmp_path / "m")

    def test_signatures(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Of two signatures one is named; an only one is read whatever it is called, and the log says so."""
        v2 = tf.random.normal([3, 3, 3, 4], seed=1)
        module = tf.Module()
        spec = tf.TensorSpec([None, 18, 22, 3], tf.float32, name="image")
        module.kernel = tf.Variable(v2)
        small = tf.function(lambda image: {"a": tf.nn.conv2d(image, module.kernel, 1, "SAME", name="small")})
        large = tf.function(lambda image: {"a": tf.nn.conv2d(image, module.kernel, 2, "SAME", name="large")})
        both = {"small": small.get_concrete_function(spec), "large": large.get_concrete_function(spec)}
        tf.saved_model.save(module, str(tmp_path / "two"), signatures=both)
        tf.saved_model.save(module, str(tmp_path / "one"), signatures={"small": both["small"]})
        with pytest.raises(ModelError, match=r"the signatures large, small.*--signature large"):
            load_model(tmp_path / "two")
        with pytest.raises(ModelError, match="no signature huge"):
            load_model(tmp_path / "two", signature="huge")
        for name, stride in (("small", 1), ("large", 2)):
            net = load_model(tmp_path / "two", signature=name, value_range=(0, 1), input_name="image")
            expected = tf.nn.conv2d(IMAGES, v2, stride, "SAME")
            got = net.activations(IMAGES, [net.layers[0].name])[net.layers[0].name]
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        assert load_model(tmp_path / "one", value_range=(0, 1)).layers
        assert "read by its only one, small" in caplog.text

    @pytest.mark.parametrize("signed", [True, False])
    def test_tensorflow_1(self, tmp_path: Path, signed: bool) -> None:
        """A SavedModel of TensorFlow 1, with variables, tags and a fixed batch, is read, signed or not."""
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            image = v1.placeholder(tf.float32, [1, 18, 22, 3], name="image")
            kernel = v1.get_variable("kernel", [3, 3, 3, 4], use_resource=False)
            y = tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME", name="first"))
            last = tf.reshape(y, [1, 18 * 22 * 4]) @ tf.ones([18 * 22 * 4, 5])
            last = tf.identity(last, name="last")
            session.run(v1.global_variables_initializer())
            expected = [session.run(last, {image: each[None]})[0] for each in IMAGES]
            signature = v1.saved_model.predict_signature_def({"x": image}, {"y": last})
            builder = v1.saved_model.Builder(str(tmp_path / "m"))
            given = {"signature_def_map": {"serving_default": signature}} if signed else {}
            builder.add_meta_graph_and_variables(session, ["mine", "serve"] if signed else ["mine"], **given)
            builder.save()
        net = load_model(tmp_path / "m", value_range=(0, 1))
        end = net.layers[-1].name
        np.testing.assert_allclose(net.activations(IMAGES, [end])[end], expected, rtol=1e-4, atol=1e-3)

    def test_hash(self, tmp_path: Path) -> None:
        """A folder's hash depends on names and bytes of all files, not on where it lies."""
        hashes = []
        for folder, name, text in [("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")]:
            (tmp_path / folder).mkdir()
            (tmp_path / folder / name).write_text(text)
            hashes.append(folder_sha256(tmp_path / folder))
        assert hashes[0] == hashes[1]
        assert len(set(hashes)) == 3


class TestApplication:
    def test_names(self) -> None:
        """An unknown application gets the nearest names, an unknown setting is named."""
        with pytest.raises(ModelError, match="MobileNetV2"):
            load_model("keras:MobilNetV2")
        with pytest.raises(ModelError, match="unknown setting alpha"):
            load_model("keras:MobileNetV2?alpha=1")

    def test_another_size(self) -> None:
        """An application is built for the size asked for, where Keras can."""
        net = load_model("keras:MobileNetV2?weights=none", input_shape=(96, 64, 3))
        assert net.input_shape == (96, 64, 3)
        assert net.layer("Conv1").shape == (48, 32)

    @pytest.mark.slow
    def test_a_given_range_replaces_its_own(self) -> None:
        """Keras's range is read and said with it; where another is given, nothing else is left of it."""
        source, size = "keras:MobileNetV2?weights=none", (32, 32, 3)
        own = load_model(source, input_shape=size)
        assert (own.value_range, own.preprocessing.mean) == ((-1, 1), (127.5,))
        given = load_model(source, input_shape=size, value_range=(0, 255))
        assert (given.value_range, given.preprocessing) == ((0, 255), Preprocessing(value_range=(0, 255)))

    def test_missing_weights(self, tmp_path: Path) -> None:
        """Weights that are not there are told, with a way on."""
        with pytest.raises(ModelError, match="weights=none"):
            load_model(f"keras:MobileNetV2?weights={tmp_path}/gone.h5")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "n_trunk", "names"),
        [
            ("MobileNetV2", 33, ["Conv1", "expanded_conv_depthwise", "block_2_add", "Conv_1", "predictions"]),
            ("ResNet50", 18, ["conv1_conv", "conv2_block1_add", "conv5_block3_add", "predictions"]),
        ],
    )
    def test_trunk(self, name: str, n_trunk: int, names: list[str]) -> None:
        """Real applications load with random weights; their trunk bears Keras's names."""
        net = load_model(f"keras:{name}?weights=none")
        trunk = [layer.name for layer in net.trunk]
        assert len(trunk) == n_trunk
        assert [layer for layer in trunk if layer in names] == names
        assert net.output == "predictions"
        assert net.input_shape == (224, 224, 3)

    @pytest.mark.slow
    def test_two_processes_agree(self) -> None:
        """Hash and names do not depend on what the process built before, and leave its state alone."""
        code = (
            "import random, keras; [keras.layers.Conv2D(3, 3) for _ in range({})]; random.seed(7)\n"
            "from atlas.model.reading.load import load_model\n"
            "n = load_model('keras:MobileNetV2?weights=none')\n"
            "print(n.sha256, [(layer.name, layer.tensor) for layer in n.layers], random.random())"
        )
        runs = [
            subprocess.run(
                [sys.executable, "-c", code.format(n)], capture_output=True, text=True, check=True
            ).stdout
            for n in (0, 3)
        ]
        assert runs[0] == runs[1]
