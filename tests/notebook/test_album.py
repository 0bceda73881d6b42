"""Where figures take pictures from: the store first, then the optimizer, each picture once."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.core.errors import ConfigError, StoreError
from atlas.core.neuron import Layer, Neuron, neuron_of
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from atlas.notebook.album import Album, current, drawn, illustrate
from atlas.store import Store, keys


class Recorder:
    """Stands in for the optimizer: grey pictures, and a list of what was asked for."""

    def __init__(self, side: int = 40) -> None:
        self.side = side
        self.asked: list[tuple[str, list[int], str]] = []

    def __call__(
        self, network: Network, layer: Layer, indices: list[int], preset: str
    ) -> list[tuple[int, Any]]:
        """Return grey pictures."""
        self.asked.append((layer.name, indices, preset))
        return [(i, np.full((self.side, self.side, 3), 0.5, np.float32)) for i in indices]


@pytest.fixture(scope="module")
def network(toy_graph: Path) -> Network:
    """The toy network that the toy store is of."""
    return load_model(str(toy_graph))


def neurons(network: Network, at: int, *indices: int) -> list[Neuron]:
    return [neuron_of(network.trunk[at], index) for index in indices]


class TestStore:
    def test_pictures_come_from_the_store_undrawn(self, network: Network, toy_store: Path) -> None:
        """What a store holds is shown as it is, byte by byte, and nothing is drawn."""
        recorder = Recorder()
        album = Album(network, toy_store, draw=recorder)
        (one,) = neurons(network, 0, 1)
        uri = album.uri(one)
        with Store.open(toy_store) as store:
            expected = store.read(keys.featurevis("neuron", one.layer_slug, 1))
        assert base64.b64decode(uri.removeprefix("data:image/jpeg;base64,")) == expected
        assert recorder.asked == []

    def test_another_networks_store_is_refused(self, network: Network, toy_store: Path) -> None:
        """A store of other weights would show wrong pictures: an error says so."""
        other = load_model("demo")
        with pytest.raises(StoreError, match="another network"):
            Album(other, toy_store)

    def test_no_store_there(self, network: Network, tmp_path: Path) -> None:
        """A folder without a store is an error that names it."""
        with pytest.raises(StoreError, match="nothing here"):
            illustrate(network, tmp_path / "nothing here")


class TestDrawing:
    def test_only_what_is_missing_is_drawn_and_only_once(self, network: Network) -> None:
        """A layer's missing neurons are drawn together, and kept for the next figure."""
        recorder = Recorder()
        album = Album(network, preset="standard", draw=recorder)
        album.icons(neurons(network, 0, 2, 0, 2) + neurons(network, 1, 4))
        album.icons(neurons(network, 0, 0, 1, 2))
        first, second = network.trunk[0].name, network.trunk[1].name
        assert recorder.asked == [
            (first, [2, 0], "standard"),
            (second, [4], "standard"),
            (first, [1], "standard"),
        ]

    def test_classes_and_strangers_are_named(self, network: Network) -> None:
        """Neurons of the output, and of layers that the network has not, are names and are not drawn."""
        recorder = Recorder()
        album = Album(network, draw=recorder)
        wanted = [*neurons(network, -1, 3), Neuron("else", "else", 0), Neuron(network.trunk[0].name, "x", 99)]
        icons = album.icons(wanted)
        assert all('class="named"' in icon for icon in icons.values())
        assert recorder.asked == []

    def test_channels_of_the_image_are_colours(self, network: Network) -> None:
        """Red, green and blue stand for the image's channels."""
        icons = Album(network, draw=Recorder()).icons([Neuron("input", "input", i) for i in range(3)])
        assert [icon.split('alt="')[1].split('"')[0] for icon in icons.values()] == ["red", "green", "blue"]

    def test_large_pictures_are_reduced(self, network: Network) -> None:
        """A picture has at most twice the pixels of its icon a side."""
        album = Album(network, draw=Recorder(300))
        uri = album.uri(neurons(network, 0, 0)[0])
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert picture.size == (128, 128)

    def test_unknown_preset(self, network: Network) -> None:
        """A preset that does not exist is refused before anything is drawn."""
        with pytest.raises(ConfigError, match="quick"):
            illustrate(network, preset="quick")

    def test_the_optimizer_draws(self, network: Network) -> None:
        """Without a stand-in, pictures come from one renderer a layer, in the recipe's size."""
        found = dict(drawn(network, network.trunk[0], [3, 0], "draft"))
        assert sorted(found) == [0, 3]
        assert found[0].std() > 0.01


class TestIllustrate:
    def test_chooses_the_album_of_all_figures(self, network: Network) -> None:
        """The last call decides; None goes back to names."""
        chosen = illustrate(network)
        assert current() is chosen
        assert "drawn at preset draft" in repr(chosen)
        illustrate(None)
        assert current().network is None
        assert repr(current()) == "Album of names alone"
