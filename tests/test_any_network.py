"""Networks of other people's making, from file to checked site: what a user would try first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from atlas.analysis.weights import expand
from atlas.cli import commands
from atlas.core.slugs import layer_slug
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from atlas.site import check_site

# Keras 3 and NumPy 2 disagree on an argument; neither is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
layers = tf.keras.layers


@pytest.fixture(scope="module")
def grey() -> tf.keras.Model:
    """A grey, oblong network: swish, GELU, squeeze-and-excite, a space in a name, a hidden dense layer."""
    entry = layers.Input((40, 56, 1))
    x = layers.Conv2D(6, 3, padding="same", activation="swish", name="conv2d")(entry)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="gelu", name="conv2d_1")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Dense(8, activation="sigmoid", name="gate")(gate)])
    x = layers.Conv2D(9, 3, padding="same", activation="relu", name="my layer")(x)
    x = layers.Dense(12, activation="relu", name="hidden")(layers.Flatten()(x))
    return tf.keras.Model(entry, layers.Dense(5, activation="softmax", name="out")(x))


@pytest.fixture(scope="module")
def file(grey: tf.keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network in a .keras file."""
    path = tmp_path_factory.mktemp("grey") / "grey.keras"
    grey.save(path)
    return path


class TestGreyKeras:
    @pytest.mark.slow
    def test_builds_a_sound_site(self, file: Path, tmp_path: Path) -> None:
        """The whole way works: every neuron of every trunk layer has its page, and nothing is broken."""
        site = tmp_path / "site"
        arguments = ["build", "--model", str(file), "--preset", "draft", "--site", str(site)]
        done = CliRunner().invoke(commands.main, arguments)
        assert done.exit_code == 0, done.output
        # Whether neurons of random weights are alike when turned is chance.
        pages = {path.stem for path in site.glob("*.html") if not path.stem.startswith("famil")}
        sizes = {"conv2d": 6, layer_slug("conv2d_1"): 8, layer_slug("my layer"): 9, "hidden": 12}
        expected = {f"{slug}_{i}" for slug, n in sizes.items() for i in range(n)}
        assert pages == expected | set(sizes) | {"index", "method"}
        assert check_site(site) == ()
        gated = f"{layer_slug('my layer')}_0"
        assert "is held at its mean over 16 images of noise" in (site / f"{gated}.html").read_text("utf-8")
        (note,) = json.loads((site / "data" / f"{gated}.json").read_text("utf-8"))["upstream"]["notes"]
        assert note.endswith("is held at its mean over 16 images of noise")

    def test_gate_is_reported(self, file: Path) -> None:
        """Weights that pass the gate say that it was taken at an operating point."""
        result = expand(load_model(file), "conv2d_1", "my layer")
        assert result.weights.shape == (3, 3, 8, 9)
        assert ["its mean over 16 images of noise" in note for note in result.notes] == [True]

    def test_flattened_maps_reach_the_dense_layer(self, file: Path, grey: tf.keras.Model) -> None:
        """Over a flattening, the weights are the dense layer's matrix in the map's shape."""
        matrix = grey.get_layer("hidden").get_weights()[0]
        weights = expand(load_model(file), "my layer", "hidden").weights
        np.testing.assert_allclose(weights, matrix.reshape(20, 28, 9, 12), atol=1e-6)
