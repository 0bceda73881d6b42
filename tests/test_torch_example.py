"""One network twice: PyTorch's module, and the same weights in Keras's layers. Both are the same atlas."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import atlas
from atlas.build.demo_images import write_drawings
from atlas.core.config import AtlasConfig
from atlas.core.records import AtlasRecord
from atlas.model.demo.drawings import LABELS, drawings
from atlas.model.network import Network
from atlas.model.reading.source import DEMO_FOLDER
from atlas.store import Store, codec, keys
from atlases import contents
from torch_twin import torch

pytest.importorskip("safetensors", reason="safetensors is not installed: pip install 'circuit-atlas[torch]'")
# Keras's own, when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
WEIGHTS = Path(__file__).parent / "torch_example" / "weights.safetensors"
TOLERANCE = 1e-5
LAYERS = ("stem.0", "layer1.0", "mixed")
NEURONS = "stem.0:1,stem.0:6,layer1.0:2,layer1.0:17,mixed:5,mixed:30,mixed:41"
# Their weights are a kernel times those of the branch's first convolution: two factors, those of the kernel's
# positive and negative positions, are exact. More of them divide these two by rounding alone.
DEPTHWISE = {keys.factorization("mixed", neuron) for neuron in (30, 41)}
HOW: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(WEIGHTS))


@pytest.fixture(scope="module")
def module(state: dict[str, Any]) -> Any:
    from torch_example.network import DrawingNet

    net = DrawingNet()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return net.eval()


@pytest.fixture(scope="module")
def keras_file(state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torch_example.keras_model import keras_model

    path = tmp_path_factory.mktemp("keras") / "drawing_net.keras"
    keras_model(state).save(path)
    return path


@pytest.fixture(scope="module")
def networks(module: Any, keras_file: Path) -> dict[str, Network]:
    return {
        "torch": atlas.load_model(module, input_shape=(3, 96, 96), labels=LABELS, **HOW),
        "keras": atlas.load_model(str(keras_file), labels=LABELS, **HOW),
    }


@pytest.fixture(scope="module")
def seen() -> tuple[Any, Any]:
    """Held-out drawings [n, h, w, c] in 0 to 1, and the numbers of their classes."""
    images, labels = drawings(160, seed=1_000_001)
    return images.astype(np.float32) / 255, labels


def differs(found: Any, expected: Any, unit: float = 0.0) -> float:
    """Return the largest difference of two arrays, relative to the larger of their maxima, or to `unit`."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    if not found.size:
        return 0.0
    peak = unit or max(np.abs(found).max(), np.abs(expected).max(), 1e-30)
    return float(np.abs(found - expected).max() / peak)


class TestMapping:
    def test_all_give_the_same_answers(
        self, module: Any, keras_file: Path, networks: dict[str, Network], seen: tuple[Any, Any]
    ) -> None:
        """PyTorch, Keras and the graphs that the atlas makes of them agree on every class of drawings."""
        from atlas.model.reading.keras import keras_module

        images, labels = seen
        ready = (images - np.float32(HOW["mean"])) / np.float32(HOW["std"])
        with torch.no_grad():
            expected = module(torch.from_numpy(ready.transpose(0, 3, 1, 2).copy())).numpy()
        keras = keras_module().models.load_model(keras_file)(ready, training=False)
        assert differs(keras, expected) <= TOLERANCE
        for network in networks.values():
            assert differs(network.activations(images, ["fc"])["fc"], expected) <= TOLERANCE
        assert np.mean(expected.argmax(1) == labels) >= 0.95

    def test_every_weight_is_read(self, keras_file: Path, state: dict[str, Any]) -> None:
        """The Keras model has as many numbers as the file of weights, but for counters of batches."""
        from atlas.model.reading.keras import keras_module

        model = keras_module().models.load_model(keras_file)
        counted = [value.size for name, value in state.items() if not name.endswith("num_batches_tracked")]
        assert model.count_params() == sum(counted)

    def test_layers_are_the_same(self, networks: dict[str, Network]) -> None:
        """Names of modules, kinds, shapes, receptive fields, branches; their order may differ."""
        described = {
            name: {
                one.name: (one.kind, one.n_channels, one.shape, one.receptive_field, one.trunk, one.branches)
                for one in network.layers
            }
            for name, network in networks.items()
        }
        assert described["torch"] == described["keras"]
        assert set(LAYERS) < described["torch"].keys()
        ends = [one.name for one in networks["torch"].trunk]
        assert ends == ["stem.0", "layer1.0", "mixed", "layer2.0", "fc"]

    def test_every_layer_has_the_same_values(
        self, networks: dict[str, Network], seen: tuple[Any, Any]
    ) -> None:
        """Inside of the network too, on drawings of another size than it was trained on."""
        images = seen[0][:3, :80, 7:95]
        names = [one.name for one in networks["torch"].layers]
        values = [networks[name].activations(images, names) for name in ("torch", "keras")]
        assert [name for name in names if differs(values[0][name], values[1][name]) > TOLERANCE] == []


@pytest.fixture(scope="module")
def stores(keras_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stores of both atlases, drawn at preset draft in float32, with drawings as examples."""
    from atlas.build.compute import compute

    folder = tmp_path_factory.mktemp("twice")
    write_drawings(folder / "drawings", count=2 * len(LABELS))
    made = {}
    for name in ("torch", "keras"):
        made[name] = folder / f"{name}.store"
        with Store.open(made[name], write=True) as store:
            result = compute(config(name, keras_file, folder), store)
        assert result.failed == ()
    return made


def config(name: str, keras_file: Path, folder: Path) -> AtlasConfig:
    """Return the config of one of the two atlases."""
    from atlas.cli.config_file import read_config

    source: dict[str, Any] = {"model": str(keras_file)}
    if name == "torch":
        source = {"model": "torch_example.network:DrawingNet", "model_options.weights": str(WEIGHTS)}
        source["model_options.input_shape"] = [3, 96, 96]
    settings = {
        "layers": LAYERS,
        "neurons": NEURONS,
        "examples": str(folder / "drawings"),
        "site": str(folder / name),
        "model_options.labels": str(DEMO_FOLDER / "labels.txt"),
        "model_options.mean": HOW["mean"],
        "model_options.std": HOW["std"],
        "nmf.factors": 2,
        "featurevis.preset": "draft",
        "featurevis.precision": "float32",
        "directions.factors": "mixed:5",
    }
    return read_config(None, source | settings)


def numbers(key: str, data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the arrays and texts of an artefact, each with its name."""
    if key.endswith(".npy"):
        yield key, codec.decode_array(data)
    elif key.endswith(".npz"):
        with np.load(io.BytesIO(data)) as members:
            for name in members.files:
                if name == "fields":
                    yield from _leaves(f"{key} {name}", json.loads(members[name].tobytes()))
                else:
                    yield f"{key} {name}", members[name]
    elif key.endswith(".json"):
        yield from _leaves(key, json.loads(data))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the numbers and texts in a JSON value; a list of numbers is an array."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(f"{name}.{key}", one)
    elif isinstance(value, list) and not all(isinstance(one, (int, float)) for one in value):
        for at, one in enumerate(value):
            yield from _leaves(f"{name}[{at}]", one)
    else:
        yield name, np.asarray(value) if isinstance(value, (int, float, list)) else value


@pytest.mark.slow
class TestAtlases:
    def test_numbers_are_the_same(self, stores: dict[str, Path]) -> None:
        """Weights, connections, paths, factors, statistics, filters and examples, to 1e-5 of the largest."""
        first, second = (contents(stores[name]) for name in ("torch", "keras"))
        assert first.keys() == second.keys()
        wrong = {}
        for key in first.keys() - {keys.ATLAS}:
            ours, theirs = (dict(numbers(key, store[key][0])) for store in (first, second))
            assert ours.keys() == theirs.keys()
            for name, value in ours.items():
                if key in DEPTHWISE and re.search(r"\.counts\[[1-9]\]", name):
                    continue
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    # Errors are shares of the weights already.
                    unit = 1.0 if name.endswith(".error") else 0.0
                    # A gradient jumps where the input of a ReLU is zero but for rounding.
                    close = 1e-3 if key.startswith("effective-fields/") else TOLERANCE
                    if (difference := differs(value, theirs[name], unit)) > close:
                        wrong[name] = difference
                elif key.startswith("distributions/") and name.endswith("counts"):
                    # A value at the limit of a bin is in one or the other by rounding.
                    moved = np.abs(np.cumsum(value - theirs[name], 1)).max()
                    if moved > 1e-3 * value.sum(1).max():
                        wrong[name] = moved
                elif not np.array_equal(value, theirs[name]):
                    wrong[name] = (value, theirs[name])
        assert wrong == {}
        kinds = {key.partition("/")[0] for key in first}
        assert kinds > set("weights connections paths nmf statistics filters examples featurevis".split())

    def test_records_are_the_same(self, stores: dict[str, Path]) -> None:
        """Layers and their neighbours, carriers aside, which are named after ops; and notes."""
        records, notes = [], []
        for folder in stores.values():
            with Store.open(folder) as store:
                record = store.record(keys.ATLAS, AtlasRecord)
            notes.append([note for note in record.notes if "images" in note])
            records.append(
                {
                    one.layer: (one.neurons, one.upstream, one.downstream, one.two_before, one.size)
                    for one in record.layers
                }
            )
        assert records[0] == records[1]
        assert notes == [[], []]

    def test_pictures_are_the_same(self, stores: dict[str, Path], networks: dict[str, Network]) -> None:
        """Each network judges both atlases' pictures alike, and they look alike, pixel by pixel."""
        first, second = (contents(stores[name]) for name in ("torch", "keras"))
        drawn = [key for key in first if key.startswith("featurevis/")]
        assert len(drawn) == 7
        for key in drawn:
            pictures = [Image.open(io.BytesIO(store[key][0])) for store in (first, second)]
            pixels = [np.asarray(picture, np.float32) / 255 for picture in pictures]
            assert np.abs(pixels[0] - pixels[1]).mean() <= 0.01
            layer, neuron = key.split("/")[2], int(Path(key).stem)
            for network in networks.values():
                values = network.activations(np.stack(pixels), [layer])[layer][..., neuron]
                h, w = values.shape[1:]
                reached = values[:, h // 2, w // 2]
                assert abs(reached[0] - reached[1]) <= 0.02 * reached.max()
