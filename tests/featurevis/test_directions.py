"""Pictures of directions: the right vector at the right place, whatever the company."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from atlas.analysis.weights import expanded_weights
from atlas.core.errors import AtlasError, ConfigError, LayerError, NeuronError
from atlas.core.records import Factor, Factorization
from atlas.featurevis.directions import (
    draw,
    draw_loadings,
    factor_directions,
    factor_pictures,
    factors,
    positions,
)
from atlas.featurevis.recipe import Preset, Recipe
from atlas.featurevis.render import Renderer
from atlas.model.carriers import carrier
from atlas.model.network import Network
from featurevis_toy import network

SHORT = Preset("short", 4, 0.05, redirect_steps=1, even=True)
RECIPE = Recipe(preset=SHORT, size=(30, 36))


@pytest.fixture(scope="module")
def net() -> Network:
    """The toy network: stem (6), block (9) after a pool, end (7) of 3 x 3 kernels over block."""
    return network()


@pytest.fixture(scope="module")
def renderer(net: Network) -> Iterator[Renderer]:
    """A renderer of block's directions in short batches."""
    with Renderer(net, net.layer("block"), RECIPE, batch=3) as opened:
        yield opened


def vectors(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 9)).astype(np.float32)


class TestDraw:
    """draw()."""

    def test_company_does_not_matter(self, renderer: Renderer) -> None:
        """Pictures are the same bytes alone and among others, in any batch, and in the order asked for."""
        asked = [vectors(4), vectors(2, seed=1), vectors(3, seed=2)]
        together = [pictures for pictures, _ in draw(renderer, asked)]
        assert [len(pictures) for pictures in together] == [4, 2, 3]
        for one, expected in zip(asked, together, strict=True):
            ((alone, _),) = draw(renderer, [one])
            np.testing.assert_array_equal(alone, expected)

    def test_a_row_is_a_direct_render_of_its_vector(self, renderer: Renderer) -> None:
        """Row 2 is what the renderer draws of that vector at length one, from noise 2."""
        own = vectors(4)
        ((drawn, _),) = draw(renderer, [own], cosine_power=1.0)
        unit = (own[2] / np.linalg.norm(own[2])).astype(np.float32)
        ((_, picture, _),) = renderer.render_directions(unit[None], [2], cosine_power=1.0)
        np.testing.assert_allclose(drawn[2], picture, atol=1e-4)

    def test_a_direction_of_zero_is_grey(self, renderer: Renderer) -> None:
        """Nothing is drawn where there is no direction, and the others keep their places and noise."""
        full = vectors(4)
        holed = full.copy()
        holed[1] = 0
        ((whole, _),), ((part, _),) = draw(renderer, [full]), draw(renderer, [holed])
        assert (part[1] == 0.5).all()
        for row in (0, 2, 3):
            np.testing.assert_array_equal(part[row], whole[row])
        ((nothing, known),) = draw(renderer, [np.zeros((2, 9), np.float32)])
        assert known is None
        assert nothing.shape == (2, 30, 36, 3)


class TestPositions:
    """positions()."""

    def test_the_grid_is_that_of_the_weights(self, net: Network) -> None:
        """Each place holds its own vector's norm, and its picture is a render of that vector."""
        weights = expanded_weights(net, "block", "end")[..., 4]
        found = positions(net, "end:4", preset="draft", cosine_power=1.0)
        assert (found.neuron, found.source, found.block) == ("end:4", "block", (1, 1))
        assert found.pictures.shape == (3, 3, 24, 24, 3)
        np.testing.assert_allclose(found.magnitudes, np.linalg.norm(weights, axis=-1), rtol=1e-5)
        flat = weights.reshape(9, 9).copy()
        flat[[0, 1, 2, 3, 5, 6, 7, 8]] = 0
        alone = draw_loadings(net, "block", flat, preset="draft", cosine_power=1.0)
        np.testing.assert_array_equal(found.pictures[1, 1], alone[4])

    def test_the_sheet_fades_by_strength(self, net: Network) -> None:
        """A picture at half the largest magnitude is half way to light grey; pictures stand 1 px apart."""
        found = positions(net, "end:4", preset="draft")
        share = found.magnitudes[2, 0] / found.magnitudes.max()
        sheet = found.sheet
        assert sheet.shape == (3 * 24 + 2, 3 * 24 + 2, 3)
        expected = found.pictures[2, 0] * share + 0.9 * (1 - share)
        np.testing.assert_allclose(sheet[50:74, :24], expected, atol=1e-5)
        assert (sheet[24] == 1).all()
        assert (sheet[:, 49] == 1).all()

    @pytest.mark.parametrize(
        ("neuron", "source", "kind", "message"),
        [
            ("end:7", None, NeuronError, "end has no neuron 7"),
            ("ende:1", None, LayerError, "no layer 'ende'"),
            ("stem:1", None, NeuronError, "stem:1 is built from the image itself"),
            ("block:1", "end", LayerError, "block does not depend on end"),
            ("end:1", "nowhere", LayerError, "no layer 'nowhere'"),
        ],
    )
    def test_what_cannot_be_drawn(
        self, net: Network, neuron: str, source: str | None, kind: type[AtlasError], message: str
    ) -> None:
        """Unknown neurons, and sources that are no source of them, are errors that name them."""
        with pytest.raises(kind, match=message):
            positions(net, neuron, source)

    def test_an_unknown_preset(self, net: Network) -> None:
        """A preset that does not exist is an error that lists those that do."""
        with pytest.raises(ConfigError, match=r"no preset 'quick'.*draft, standard, full"):
            positions(net, "end:1", preset="quick")  # type: ignore[arg-type]


class TestFactors:
    """factors(), factor_pictures() and draw_loadings()."""

    def test_all_loadings_make_up_the_weights(self, net: Network) -> None:
        """Maps times all loadings leave out exactly the error that is told."""
        kernel = expanded_weights(net, carrier(net, "stem", "end"), "end")[..., 3].astype(np.float64)
        found = factors(net, "end:3", 2, "stem")
        assert (found.source, found.maps.shape[0], found.loadings.shape) == ("stem", 2, (2, 6))
        left = kernel - np.einsum("fhw,fs->hws", found.maps, found.loadings)
        assert np.linalg.norm(left) / np.linalg.norm(kernel) == pytest.approx(found.record.error, rel=1e-4)

    def test_inhibiting_factors_are_turned_round(self) -> None:
        """A factor's direction is its loadings times its sign: of an inhibiting one, what inhibits."""
        made = [Factor(sign, 1.0, ((1.0,),), (), ()) for sign in (1, -1)]
        record = Factorization("s", 2, 0.0, tuple(made))
        loadings = np.array([[0.6, -0.8], [0.6, -0.8]], np.float32)
        expected = np.array([[0.6, -0.8], [-0.6, 0.8]], np.float32)
        np.testing.assert_array_equal(factor_directions(record, loadings), expected)

    def test_a_picture_is_of_the_factors_direction(self, net: Network) -> None:
        """The pictures are those of the turned loadings, row by row."""
        found = factor_pictures(net, "end:3", 2, preset="draft")
        turned = factor_directions(found.factors.record, found.factors.loadings)
        alone = draw_loadings(net, "block", turned, preset="draft")
        np.testing.assert_array_equal(found.pictures, alone)
        assert found.pictures.shape == (len(turned), 24, 24, 3)

    def test_loadings_of_another_layer(self, net: Network) -> None:
        """Loadings must have a number for each source neuron."""
        with pytest.raises(LayerError, match=r"loadings of block.*\(2, 6\).*\(n, 9\)"):
            draw_loadings(net, "block", np.ones((2, 6), np.float32))
