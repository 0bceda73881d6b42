"""Tests of atlas.model.reading.preprocessing: a network answers to a photograph as Keras does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from atlas.model.reading.preprocessing import named_preparation, preparation_of, prepared, standardized
from graphs import conv, graph_def

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = (24, 28)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def model() -> Any:
    """A classifier whose weights make each channel count differently."""
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            layers.Conv2D(5, 3, activation="relu", name="c1"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, name="d"),
        ]
    )
    rng = np.random.default_rng(1)
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photograph of the network's size in several formats: they need no resizing to compare."""
    folder = tmp_path_factory.mktemp("photographs")
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.stack([8 * y, 6 * x, 255 - 4 * (x + y)], -1).astype(np.uint8)
    image = Image.fromarray(pixels)
    for name in ("a.png", "b.jpg", "c.webp", "d.bmp", "e.tif"):
        image.save(folder / name)
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "f.gif")
    image.convert("L").save(folder / "g.png")
    return folder


PREPROCESSINGS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "tf": ({"preprocess": "tf"}, keras.applications.mobilenet_v2.preprocess_input),
    "torch": ({"preprocess": "torch"}, keras.applications.densenet.preprocess_input),
    "caffe": ({"preprocess": "caffe"}, keras.applications.vgg16.preprocess_input),
    "none": ({"preprocess": "none"}, keras.applications.efficientnet.preprocess_input),
    "mean": ({"mean": MEAN, "std": STD}, lambda x: (x / 255 - np.array(MEAN)) / np.array(STD)),
    "bytes": ({"mean": (100.0,), "std": (50.0,)}, lambda x: (x - 100) / 50),
    "bgr": ({"channels": "bgr", "value_range": (0, 1)}, lambda x: x[..., ::-1] / 255),
    "bgr mean": ({"channels": "bgr", "mean": (9.0, 5.0, 7.0)}, lambda x: x[..., ::-1] - np.array([9, 5, 7])),
}


@pytest.mark.parametrize("kind", PREPROCESSINGS)
def test_photographs_as_in_keras(tmp_path: Path, model: Any, photographs: Path, kind: str) -> None:
    """Photographs of every format give what Keras gives for them, by each way of preprocessing."""
    given, preprocess = PREPROCESSINGS[kind]
    model.save(tmp_path / "net.keras")
    net = load_model(tmp_path / "net.keras", **given)
    for file in sorted(photographs.iterdir()):
        pixels = np.asarray(keras.utils.load_img(file), np.float32)
        expected = model(np.asarray(preprocess(pixels[None].copy()), np.float32))
        got = net.activations(pixels[None] / 255, ["d"])["d"]
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3, err_msg=file.name)
    assert [layer.name for layer in net.layers] == ["c1", "d"]
    # What pages say of it gives the same numbers.
    said = net.preprocessing
    low, high = said.value_range
    ordered = pixels[..., ::-1] if said.channels == "bgr" else pixels
    values = (low + ordered / 255 * (high - low) - np.array(said.mean or 0)) / np.array(said.std or 1)
    np.testing.assert_allclose(values, preprocess(pixels.copy()), rtol=1e-4, atol=1e-3)


def test_a_frozen_graph_takes_bytes_in_reverse(tmp_path: Path) -> None:
    """BGR and means are laid in front of a frozen graph; "input" is the RGB image."""
    (tmp_path / "net.pb").write_bytes(
        graph_def(lambda x: conv(tf.identity(x, name="seen"), 4, "a")).SerializeToString()
    )
    net = load_model(tmp_path / "net.pb", preprocess="caffe")
    seen = net.activations(np.full((1, 20, 23, 3), [0.0, 0.5, 1.0]), ["seen:0"])["seen:0"]
    np.testing.assert_allclose(seen[0, 0, 0], [255 - 103.939, 127.5 - 116.779, -123.68], rtol=1e-5)
    assert net.value_range == (0, 255)
    assert net.layer("a").receptive_field is not None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preprocess": "pytorch"}, r"pytorch.*tf \| torch \| caffe \| none"),
        ({"preprocess": "tf", "mean": (1.0,)}, "leave --value-range, mean"),
        ({"preprocess": "tf", "value_range": (0, 1)}, "leave --value-range"),
        ({"channels": "grb"}, r"rgb \| bgr"),
        ({"mean": (1.0, 2.0)}, "mean does not fit"),
        ({"mean": (float("nan"),)}, "mean does not fit"),
        ({"std": (1.0, 0.0, 1.0)}, "std does not fit"),
        ({"std": (1.0, -0.5, 1.0)}, "std does not fit.*above 1e-06"),
        ({"std": (1e-320, 1.0, 1.0)}, "std does not fit"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    """A preprocessing that makes no sense is refused."""
    (tmp_path / "net.pb").write_bytes(graph_def(lambda x: conv(x, 4, "a")).SerializeToString())
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "net.pb", **given)


def test_grey_images_have_one_mean(tmp_path: Path) -> None:
    """Three means do not fit grey images; Keras's "tf" does."""
    graph = graph_def(lambda x: conv(x, 4, "a"), (None, 20, 23, 1))
    (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="images in colour"):
        load_model(tmp_path / "net.pb", preprocess="torch")
    assert load_model(tmp_path / "net.pb", preprocess="tf").value_range == (-1, 1)


def test_preprocessing_replaces_the_source_s(tmp_path: Path) -> None:
    """For a source that states a range, a preprocessing that was given counts instead."""
    manifest = {"input_name": "input:0", "image_shape": [20, 23, 3], "image_value_range": [0, 255]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "graph.pb").write_bytes(graph_def(lambda x: conv(x, 4, "a")).SerializeToString())
    net = load_model(tmp_path, preprocess="tf")
    assert net.value_range == (-1, 1)


class TestPreparation:
    @pytest.mark.parametrize(
        ("module", "expected"),
        [("mobilenet_v2", (-1.0, 1.0)), ("efficientnet", (0.0, 255.0)), ("resnet", None), ("densenet", None)],
    )
    def test_applications(self, module: str, expected: tuple[float, float] | None) -> None:
        """Preprocessing is a value range where channels are alike, else it does to images what Keras does."""
        preprocess = getattr(keras.applications, module).preprocess_input
        preparation = preparation_of(preprocess)
        assert preparation.is_range is (expected is not None)
        if expected is not None:
            assert preparation.value_range == pytest.approx(expected)
            return
        graph = prepared(graph_def(lambda x: tf.identity(x, name="end")), "input:0", preparation)
        images = np.random.default_rng(0).random((2, 20, 23, 3)).astype(np.float32) * 255
        with tf.Graph().as_default():
            (end,) = tf.graph_util.import_graph_def(graph, return_elements=["end:0"], name="")
            with tf.compat.v1.Session() as session:
                got = session.run(end, {"input:0": images})
        np.testing.assert_allclose(got, preprocess(images.copy()), atol=2e-4)

    def test_names_agree_with_keras(self) -> None:
        """The named ones are Keras's, found by trying these on pixels."""
        for name, module in (("torch", "densenet"), ("caffe", "vgg16")):
            keras_own = preparation_of(getattr(keras.applications, module).preprocess_input)
            own, unit = named_preparation(name, 3), 255 if name == "torch" else 1
            np.testing.assert_allclose(own.scale / unit, keras_own.scale, rtol=1e-4)
            np.testing.assert_allclose(own.shift, keras_own.shift, rtol=1e-4)
            assert own.order == keras_own.order

    def test_mixed_channels(self) -> None:
        """Preprocessing that shuffles channels otherwise is refused."""
        with pytest.raises(ModelError, match="mixes channels"):
            preparation_of(lambda x: x[..., [1, 2, 0]])

    def test_units_follow_the_numbers(self) -> None:
        """Means of at most 1 are of images of 0 to 1, others of bytes."""
        assert standardized(MEAN, STD, channels=3).value_range == (0, 1)
        assert standardized((120.0, 110.0, 100.0), (), channels=3).value_range == (0, 255)
        assert standardized((), (), channels=3, backwards=True).value_range == (0, 255)


@pytest.mark.parametrize(
    ("mean", "std"),
    [(0.1307, 0.3081), (0.4980392, 0.5019608), (0.4822, 0.2613), (127.5, 127.5), (1 / 3, 0.7)],
)
def test_numbers_that_are_given_are_used_as_given(mean: float, std: float) -> None:
    """Black and white enter the network as given, to float32's precision, and are told as given."""
    found = standardized([mean], [std], channels=1)
    black, white = found.value_range
    top = 1.0 if mean <= 1 else 255.0
    assert (black, white) == pytest.approx((-mean / std, (top - mean) / std), rel=1e-8)
    assert (*found.mean, *found.std) == pytest.approx((mean, std), rel=1e-8)
