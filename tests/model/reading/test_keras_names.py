"""Tests of atlas.model.reading.keras_names, tokens and aliases: what layers of Keras models are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import LayerError
from atlas.model.network import Network
from atlas.model.reading.load import load_model

keras = pytest.importorskip("keras")
# Keras 3 saves its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SHAPE = (24, 30, 3)
IMAGES = np.random.default_rng(7).random((3, *SHAPE)).astype(np.float32)
KERNELS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "SeparableConv2D", "Dense", "EinsumDense")


def read(model: Any, folder: Path) -> Network:
    """Return a Keras model's network, by way of a file."""
    model.save(folder / "model.keras")
    return load_model(folder / "model.keras", value_range=(0, 1))


def ended(x: Any, entry: Any) -> Any:
    """Return the model of maps `x`, with three classes at its end."""
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(entry, keras.layers.Dense(3, name="classes")(pooled), name="whole")


def values_of(model: Any, layer: str, node: int = 0) -> np.ndarray:
    """Return what Keras itself computes for a layer of a model on IMAGES."""
    return np.asarray(
        keras.Model(model.input, model.get_layer(layer)._inbound_nodes[node].outputs[0])(IMAGES)
    )


def block(name: str, channels: int) -> Any:
    """Return a submodel of a convolution, a norm, an activation and a sum, whose layers have common names."""
    entry = keras.Input((None, None, channels))
    x = keras.layers.Conv2D(channels, 3, padding="same", name="conv")(entry)
    x = keras.layers.ReLU(name="act")(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(entry, keras.layers.Add(name="sum")([x, entry]), name=name)


def zoo() -> dict[str, Callable[[], Any]]:
    """Return models by name, each of kinds of layers that others lack."""
    layers = keras.layers

    def convolutions() -> Any:
        x = entry = keras.Input(SHAPE)
        x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="first")(x)
        x = layers.Conv2D(12, 3, groups=4, use_bias=False, name="grouped")(x)
        x = layers.Conv2DTranspose(6, 3, strides=2, name="up")(x)
        x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(x)
        x = layers.SeparableConv2D(7, 3, activation="relu", name="separable")(x)
        x = layers.Conv2D(7, 3, dilation_rate=2, name="dilated")(x)
        return ended(layers.Dense(9, activation="gelu", name="rows")(x), entry)

    def joins() -> Any:
        x = entry = keras.Input(SHAPE)
        x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
        y = layers.Conv2D(8, 3, padding="same", name="side")(x)
        x = layers.Concatenate(name="joined")([layers.Average(name="mean")([x, y]), y])
        y = layers.Conv2D(16, 1, name="last")(x)
        return ended(layers.ReLU(name="out")(layers.Subtract(name="less")([x, y])), entry)

    def norms() -> Any:
        x = entry = keras.Input(SHAPE)
        for i, norm in enumerate([layers.LayerNormalization, layers.UnitNormalization]):
            x = layers.Conv2D(6, 3, name=f"conv{i}")(x)
            x = layers.ReLU()(norm(name=f"norm{i}")(x))
        x = layers.ReLU()(layers.GroupNormalization(2, name="groups")(x))
        x = layers.ReLU()(layers.GroupNormalization(-1, name="each")(x))
        return ended(layers.PReLU(shared_axes=[1, 2], name="prelu")(x), entry)

    def attention() -> Any:
        x = entry = keras.Input(SHAPE)
        x = layers.Conv2D(8, 6, strides=6, name="patch")(x)
        x = layers.Reshape((20, 8), name="tokens")(x)
        y = layers.LayerNormalization(name="norm")(x)
        x = layers.Add(name="attended")([x, layers.MultiHeadAttention(2, 4, name="mha")(y, y)])
        y = layers.Dense(13, activation="gelu", name="wide")(x)
        x = layers.Add(name="mixed")([x, layers.Dense(8, name="narrow")(y)])
        return keras.Model(entry, layers.Dense(3, name="classes")(layers.GlobalAveragePooling1D()(x)))

    return {"convolutions": convolutions, "joins": joins, "norms": norms, "attention": attention}


class TestListed:
    @pytest.mark.parametrize("name", list(zoo()))
    def test_every_layer_with_a_kernel(self, name: str, tmp_path: Path) -> None:
        """Each Keras layer that holds a kernel is a layer by its own name, and no layer has another name."""
        model = zoo()[name]()
        net = read(model, tmp_path)
        every = list(model._flatten_layers())
        holders = {layer.name for layer in every if type(layer).__name__ in KERNELS}
        listed = [layer.name for layer in net.layers]
        assert holders <= {part for name in listed for part in name.split("/")}
        assert {name.split("/")[0] for name in listed} <= {layer.name for layer in every}

    def test_sums_and_concatenations(self, tmp_path: Path) -> None:
        """Sums, means, differences and concatenations of maps are layers under their own names."""
        net = read(zoo()["joins"](), tmp_path)
        kinds = [(layer.name, layer.kind) for layer in net.layers if layer.kind in ("add", "concat")]
        assert kinds == [("mean", "add"), ("joined", "concat"), ("less", "add")]

    def test_a_sum_of_three_is_one_layer(self, tmp_path: Path) -> None:
        """What a layer adds up in two steps is one layer, and holds the whole sum."""
        x = entry = keras.Input(SHAPE)
        parts = [keras.layers.Conv2D(5, 3, padding="same", name=f"c{i}")(x) for i in range(3)]
        model = ended(keras.layers.Average(name="mean")(parts), entry)
        net = read(model, tmp_path)
        assert [layer.name for layer in net.layers if layer.kind == "add"] == ["mean"]
        np.testing.assert_allclose(
            net.activations(IMAGES, ["mean"])["mean"], values_of(model, "mean"), rtol=1e-4, atol=1e-5
        )

    def test_a_normalization_is_no_sum(self, tmp_path: Path) -> None:
        """What layer and group normalization or PReLU add up is of one map, and no layer."""
        net = read(zoo()["norms"](), tmp_path)
        assert [layer.name for layer in net.layers] == ["conv0", "conv1", "classes"]

    @pytest.mark.parametrize(
        ("kind", "layer"),
        [
            *(
                ("convolutions", name)
                for name in ("first", "grouped", "up", "deep", "separable", "dilated", "rows")
            ),
            *(("joins", name) for name in ("stem", "mean", "joined")),
            *(("attention", name) for name in ("patch", "attended", "wide", "narrow", "mixed")),
        ],
    )
    def test_values(self, kind: str, layer: str, tmp_path: Path) -> None:
        """Each listed layer holds what Keras computes for that layer, tokens in rows and columns."""
        model = zoo()[kind]()
        net = read(model, tmp_path)
        expected = values_of(model, layer)
        seen = net.activations(IMAGES, [layer])[layer]
        assert seen.shape[1:3] == net.layer(layer).shape
        np.testing.assert_allclose(seen.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


class TestNames:
    @pytest.mark.parametrize(
        "name", ["Конв", "_conv", "a b.c", "-x", ".>41.", "卷积🙂", "input", "x" * 300, "<b>&'\""]
    )
    def test_any_name_stays(self, name: str, tmp_path: Path) -> None:
        """A layer keeps its name in any script; its slug is safe. "input", the image, gets a number."""
        entry = keras.Input(SHAPE)
        x = keras.layers.Conv2D(5, 3, activation="relu", name="first")(entry)
        net = read(ended(keras.layers.Conv2D(4, 3, activation="relu", name=name)(x), entry), tmp_path)
        assert [layer.name for layer in net.layers] == [
            "first",
            "input#2" if name == "input" else name,
            "classes",
        ]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", net.layers[1].slug)
        assert len({layer.slug.casefold() for layer in net.layers}) == 3

    def test_a_layer_used_again(self, tmp_path: Path) -> None:
        """A layer used three times is three layers that bear its name, each with its own values."""
        entry = keras.Input(SHAPE)
        again = keras.layers.Conv2D(6, 3, padding="same", name="again")
        x = keras.layers.Conv2D(6, 3, padding="same", name="stem")(entry)
        for _ in range(3):
            x = keras.layers.ReLU()(again(x))
        model = ended(x, entry)
        net = read(model, tmp_path)
        assert [layer.name for layer in net.layers] == ["stem", "again", "again#2", "again#3", "classes"]
        for use, name in enumerate(["again", "again#2", "again#3"]):
            seen = net.activations(IMAGES, [name])[name]
            expected = np.maximum(values_of(model, "again", use), 0)
            np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)

    def test_submodels(self, tmp_path: Path) -> None:
        """Layers of submodels bear both names, also of two that have the same ones and of one used twice."""
        entry = keras.Input(SHAPE)
        one, two = block("one", 5), block("two", 5)
        x = keras.layers.Conv2D(5, 3, padding="same", name="conv")(entry)
        net = read(ended(one(two(one(x))), entry), tmp_path)
        names = ["one/conv", "one/sum", "two/conv", "two/sum", "one#2/conv", "one#2/sum"]
        assert [layer.name for layer in net.layers] == ["conv", *names, "classes"]
        assert net.layer("two").name == "two/sum"
        assert net.layer("whole/two/conv").name == "two/conv"
        assert net.layer("two/act").name == net.layer("two/norm").name == "two/conv"
        with pytest.raises(LayerError, match="several layers"):
            net.layer("act")

    def test_a_submodel_of_one_layer(self, tmp_path: Path) -> None:
        """A convolution that is alone in a submodel, with its activation, keeps its own name at both uses."""
        entry = keras.Input(SHAPE)
        inner = keras.Sequential(
            [
                keras.Input((*SHAPE[:2], 5)),
                keras.layers.Conv2D(5, 3, padding="same", name="conv"),
                keras.layers.ReLU(name="act"),
            ],
            name="block",
        )
        x = keras.layers.Conv2D(5, 3, padding="same", name="stem")(entry)
        net = read(ended(inner(inner(x)), entry), tmp_path)
        assert [layer.name for layer in net.layers[:3]] == ["stem", "block/conv", "block#2/conv"]

    def test_operations_have_their_names(self, tmp_path: Path) -> None:
        """A sum that is written with "+" bears the name that Keras's summary has for it."""
        entry = keras.Input(SHAPE)
        x = keras.layers.Conv2D(6, 3, padding="same", name="stem")(entry)
        total = x + keras.layers.Conv2D(6, 3, padding="same", name="side")(x)
        model = ended(total, entry)
        name = next(op.name for op in model.operations if type(op).__name__ == "Add")
        assert read(model, tmp_path).layers[2].name == name

    def test_a_model_is_left_as_it_was(self) -> None:
        """Reading a model changes no name in it."""
        from atlas.model.reading.keras import freeze_keras

        model = zoo()["attention"]()
        names = [layer.name for layer in model._flatten_layers()]
        freeze_keras(model)
        assert [layer.name for layer in model._flatten_layers()] == names

    def test_exported(self, tmp_path: Path) -> None:
        """Names below the call of a SavedModel's signature are found, in full and shortened."""
        entry = keras.Input(SHAPE)
        x = keras.layers.Conv2D(6, 3, activation="relu", name="stem")(entry)
        model = ended(keras.layers.Conv2D(4, 3, groups=2, name="grouped")(x), entry)
        model.export(tmp_path / "exported", verbose=False)
        net = load_model(tmp_path / "exported", value_range=(0, 1))
        assert [layer.name for layer in net.layers] == ["stem", "grouped", "classes"]
        node = net.layer("stem").tensor
        assert net.layer(node).name == net.layer(node.removesuffix(":0")).name == "stem"


class TestTokens:
    def test_class_token(self, tmp_path: Path) -> None:
        """Tokens beside those of a map have no rows and columns, and their layers are not listed wrongly."""
        entry = keras.Input(SHAPE)
        x = keras.layers.Conv2D(8, 6, strides=6, name="patch")(entry)
        x = keras.layers.ZeroPadding1D((1, 0))(keras.layers.Reshape((20, 8))(x))
        x = keras.layers.Dense(8, name="rows")(x)
        x = keras.layers.GlobalAveragePooling1D()(x)
        net = read(keras.Model(entry, keras.layers.Dense(3, name="classes")(x)), tmp_path)
        assert [layer.name for layer in net.layers] == ["patch", "classes"]

    def test_heads_are_no_map(self, tmp_path: Path) -> None:
        """The heads of an attention have four axes, but no rows and columns: none is listed so."""
        entry = keras.Input(SHAPE)
        x = keras.layers.Conv2D(8, 6, strides=6, name="patch")(entry)
        x = keras.layers.Reshape((20, 8))(x)
        x = keras.layers.MultiHeadAttention(1, 8, name="mha")(x, x)
        x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Reshape((4, 5, 8))(x))
        net = read(ended(x, entry), tmp_path)
        assert {layer.shape for layer in net.layers} == {(4, 5), (2, 3), None}
        assert "mha/attention_output" in [layer.name for layer in net.layers]
        assert net.layer("mha").name == "mha/attention_output"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "DenseNet121", "ConvNeXtTiny", "NASNetMobile", "ResNet50V2"])
def test_applications(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer with a kernel of Keras's own networks is listed by its name, and every name is Keras's."""
    from atlas.model.reading import keras as reading

    built: list[Any] = []
    build = reading._build
    monkeypatch.setattr(reading, "_build", lambda *told: built.append(build(*told)) or built[0])
    net = load_model(f"keras:{name}?weights=none")
    every = list(built[0]._flatten_layers())
    known = {layer.name for layer in [*every, *built[0].operations]}
    listed = {part for layer in net.layers for part in layer.name.split("/")}
    assert {layer.name for layer in every if type(layer).__name__ in KERNELS} <= listed
    assert listed - known <= {"separable_conv2d"}
