"""Tests of atlas.model.keras, keras_names and freezing: Keras models and SavedModels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.errors import ModelError
from atlas.model.backend import tf
from atlas.model.freezing import folder_sha256
from atlas.model.load import load_model

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
            "from atlas.model.load import load_model\n"
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
