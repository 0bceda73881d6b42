"""Small networks that stand for what people have, from the development data: what is right for each."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from atlas.analysis.weights import expand, expanded_weights
from atlas.cli import commands
from atlas.cli.model_report import model_lines
from atlas.core.errors import ModelError
from atlas.model.carriers import carrier
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
Sizes = dict[str, int | None]


@dataclass(frozen=True)
class Case:
    """A network's file and what is right: fields in pixels by layer (None: the whole image), the range.

    `more` are what else is given to `load_model`; `twin` says whether Keras makes its linear copy, to
    `close`, a part of the largest weight.
    """

    file: str
    fields: Sizes = field(default_factory=dict)
    value_range: tuple[float, float] = (0.0, 1.0)
    more: dict[str, Any] = field(default_factory=dict)
    twin: bool = True
    close: float = 1e-4

    def __str__(self) -> str:
        """Return the file's name, for the names of tests."""
        return self.file


U_NET = {"down0": 3, "down1": 8, "middle": 18, "dec1": 22, "dec0": 26, "join0": 22}
BYTES = (0.0, 255.0)
CASES = (
    Case("res_avg.keras", {"a": 3, "sum": 8, "sum2": 12}),
    Case("res_up.keras", {"a": 3, "sum": 4, "sum2": 5}),
    Case("res_tr.keras", {"a": 3, "conv2d_transpose": 3, "sum": 4, "sum2": 5}),
    Case("res_softsign.keras", {"sum": 5, "sum2": 7}),
    Case("res_threshold.keras", {"sum": 5, "sum2": 7}),
    Case("grouped.keras", {"first": 3, "grouped": 5, "after": 5}),
    Case("dilated.keras", {"c1": 3, "dil2": 7, "dil4": 15, "dil8": 31, "head": 31}),
    Case("unet_nearest.keras", U_NET),
    Case("unet_transpose.keras", U_NET),
    Case("siamese.keras", {"c1": 3, "c2": 5}, more={"input_name": "left"}, twin=False),
    Case("meta.keras", {"c1": 3, "c2": 5}, more={"input_name": "image"}),
    Case("frozen_batch1.pb", value_range=BYTES, more={"value_range": BYTES}, twin=False),
    Case("frozen_plain.pb", value_range=BYTES, more={"value_range": BYTES}, twin=False),
    Case("frozen_u8.pb", value_range=BYTES, more={"input_name": "images"}, twin=False),
    Case("mha.keras", {"patch": 4, "res": None, "c2": None}, twin=False),
    Case("prep.keras", {"conv1": 3, "conv2": 5}, BYTES),
    Case("norm.keras", {"c1": 3, "c2": 5}, BYTES),
    Case("aug4.keras", {"c1": 3, "c2": 5}, BYTES, twin=False),
    Case("mixed.keras", {"c1": 3, "c2": 8}, close=4e-3),
    Case("k2.h5", {"conv1": 3, "dw": 5, "pw": 5}, twin=False),
    Case("name_cyr.keras", {"first": 3, "Конв": 5}),
    Case("name_under.keras", {"first": 3, "_conv": 5}),
    Case("norms.keras", {"c0": 3, "c1": 5, "c2": 7, "c3": 9, "c4": 11}),
    Case("bands.keras", {"c1": 3, "c2": 8}),
    Case("shared.keras", {"stem": 3}, twin=False),
)
each_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    """The folder of the small networks; skips where it is absent."""
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip(f"no small networks in {folder}")
    return folder


def read(cases: Path, case: Case) -> Network:
    """Return the network of a case."""
    return load_model(cases / case.file, **case.more)


@each_case
def test_values_of_images(cases: Path, case: Case) -> None:
    """What the graph expects for black and white is read from it."""
    assert read(cases, case).value_range == pytest.approx(case.value_range)


@each_case
def test_layers_and_fields(cases: Path, case: Case) -> None:
    """Every layer is there by the user's name, and sees as many pixels as gradients reach."""
    network = read(cases, case)
    for name, size in case.fields.items():
        found = network.layer(name).receptive_field
        if size is None:
            assert found is None or min(found.size) >= min(network.input_shape[:2]), name
        else:
            assert found is not None, name
            assert found.size == (size, size), name


@each_case
def test_info(cases: Path, case: Case) -> None:
    """`info` reads the network, line by line, and every way between trunk layers has a twin."""
    lines = list(model_lines(read(cases, case)))
    assert not [line for line in lines if "cannot be linearized" in line]


@pytest.mark.parametrize("case", [case for case in CASES if case.twin], ids=str)
def test_weights(cases: Path, case: Case) -> None:
    """Expanded weights of neighbouring trunk layers are the gradients of a linear copy made by Keras."""
    network, model = read(cases, case), tf.keras.models.load_model(cases / case.file, compile=False)
    low, high = network.value_range
    images = low + operating_images(network) * (high - low)
    twin = KerasTwin(model, images)
    compared = 0
    for source, target in pairwise(network.trunk):
        if source.name not in twin.tensors or target.name not in twin.tensors:
            continue
        start = carrier(network, source.name, target.name)
        # A pool that carries a layer on is part of the window here, and not of the weights.
        same = network.shapes[start.partition(":")[0]][1:3] == source.shape
        weights = expanded_weights(network, start if same else source.name, target.name)
        channels = [0, weights.shape[3] - 1]
        right = trimmed(twin.slopes(source.name, target.name, channels))
        found = trimmed(weights[..., channels])
        largest = np.abs(right).max()
        assert found.shape == right.shape, (source.name, target.name)
        assert np.abs(found - right).max() <= case.close * largest, (source.name, target.name)
        compared += 1
    assert compared


@each_case
def test_draft_build(cases: Path, case: Case, tmp_path: Path) -> None:
    """A draft build of two neurons of two layers gives pictures and a sound site."""
    network = read(cases, case)
    names = [layer.name for layer in network.trunk if layer.name != network.output][-2:]
    path = tmp_path / case.file
    shutil.copy(cases / case.file, path)
    arguments = ["build", "--model", str(path), "--layers", ",".join(names), "--preset", "draft"]
    arguments += ["--neurons", ",".join(f"{name}:0-1" for name in names), "--site", str(tmp_path / "site")]
    options = {"input_name": "--input", "value_range": "--value-range"}
    for key, value in case.more.items():
        arguments += [options[key], value if isinstance(value, str) else ",".join(map(str, value))]
    done = CliRunner().invoke(commands.main, arguments)
    assert done.exit_code == 0, done.output
    assert check_site(tmp_path / "site") == ()


def test_two_images_ask_for_one(cases: Path) -> None:
    """A network of two images asks in one line which of them is meant."""
    with pytest.raises(ModelError, match="--input") as raised:
        load_model(cases / "siamese.keras")
    text = str(raised.value)
    assert "left" in text
    assert "right" in text
    assert "\n" not in text


def test_vector_is_held_at_zero(cases: Path) -> None:
    """An input beside the image is held at zero, and that is said."""
    network = read(cases, next(case for case in CASES if case.file == "meta.keras"))
    assert any("age_sex" in note and ("zero" in note or "0" in note) for note in network.notes)


@pytest.mark.parametrize("file", ["frozen_batch1.pb", "frozen_plain.pb"])
def test_frozen_layers(cases: Path, file: str) -> None:
    """A frozen network's layers are called as in the graph; the softmax's name is an alias of the logits."""
    network = load_model(cases / file, value_range=BYTES)
    for name in ("act0", "act1", "logits"):
        assert network.layer(name)
    assert network.layer("prob").name == network.layer("logits").name


@pytest.mark.parametrize("file", ["frozen_batch1.pb", "frozen_plain.pb", "frozen_u8.pb"])
def test_images_of_a_batch_are_apart(cases: Path, file: str) -> None:
    """Three images at once give what TensorFlow gives for each alone, also where the batch was fixed."""
    case = next(case for case in CASES if case.file == file)
    network = read(cases, case)
    images = np.random.default_rng(0).random((3, *network.input_shape), np.float32)
    layer = network.trunk[-1]
    together = network.activations(images, [layer.name])[layer.name]
    graph_def = tf.compat.v1.GraphDef.FromString((cases / file).read_bytes())
    entry = next(node.name for node in graph_def.node if node.op == "Placeholder")
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        for image, row in zip(np.round(images * 255), together, strict=True):
            dtype = graph.get_tensor_by_name(f"{entry}:0").dtype.as_numpy_dtype
            feed = {f"{entry}:0": image[None].astype(dtype)}
            right = session.run(layer.tensor, feed)[0]
            # The whole numbers of bytes are not those that entered the network: near is near enough.
            np.testing.assert_allclose(row.ravel(), right.ravel(), atol=0.03 * np.abs(right).max())


def test_groups_are_apart(cases: Path) -> None:
    """Expanded weights into a grouped convolution are block-diagonal."""
    weights = expanded_weights(load_model(cases / "grouped.keras"), "first", "grouped")
    for target in range(8):
        others = [source for source in range(8) if source // 2 != target // 2]
        assert not weights[:, :, others, target].any()
        assert np.abs(weights[:, :, [target // 2 * 2], target]).max() > 0


def test_shared_layer_is_listed_three_times(cases: Path) -> None:
    """A convolution that is called three times is three layers that bear its name."""
    names = [layer.name for layer in load_model(cases / "shared.keras").layers if "again" in layer.name]
    assert len(names) == len(set(names)) == 3


@pytest.mark.parametrize("file", ["norms.keras", "mha.keras"])
def test_operating_point_is_noted(cases: Path, file: str) -> None:
    """Weights that pass statistics or attention say that these are held at a mean over images."""
    network = load_model(cases / file)
    notes = [
        note
        for a, b in pairwise(network.trunk)
        for note in expand(network, carrier(network, a.name, b.name), b.name).notes
    ]
    assert any("held at its mean over" in note for note in notes)


@pytest.mark.parametrize("file", ["name_cyr.keras", "name_under.keras"])
def test_slugs_are_safe(cases: Path, file: str) -> None:
    """Names in any script stay; the addresses made of them are unique and plain."""
    slugs = [layer.slug for layer in load_model(cases / file).layers]
    assert len({slug.casefold() for slug in slugs}) == len(slugs)
    assert all(slug.isascii() and not slug.startswith((".", "_", "-")) for slug in slugs)


@pytest.mark.parametrize("file", ["k2_legacy.keras", "k2_prep.h5"])
def test_files_of_keras_2(cases: Path, file: str) -> None:
    """A file of Keras 2 is read with the right range, or refused in one line that says what to do."""
    if importlib.util.find_spec("tf_keras") is None:
        with pytest.raises(ModelError, match=r"^[^\n]*tf[-_]keras[^\n]*$"):
            load_model(cases / file)
        return
    network = load_model(cases / file)
    assert network.value_range == (BYTES if file == "k2_prep.h5" else (0.0, 1.0))
    assert len(network.layers) >= 2
