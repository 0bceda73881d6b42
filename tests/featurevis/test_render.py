"""The batched optimizer: what it raises, and that nobody's image depends on the company."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atlas.core.errors import ConfigError, LayerError, NeuronError
from atlas.drawing.images import jpeg
from atlas.featurevis import replay
from atlas.featurevis.objective import branches
from atlas.featurevis.recipe import Preset, Recipe, fastest_precision
from atlas.featurevis.render import Renderer
from atlas.featurevis.subject import Task
from atlas.model.graph.backend import tf as tensorflow
from featurevis_toy import INPUT, network

tf = tensorflow.compat.v1
SHORT = Preset("short", 8, 0.05, redirect_steps=3, even=True, nesterov=True)
# Neurons that something excites, in each layer of the toy network.
LIVE = {"block": [5, 7], "end": [2, 5], "classes": [0, 5]}
RECIPE = Recipe(preset=SHORT, size=(30, 36))


def drawn(
    layer: str, neurons: Sequence[int], recipe: Recipe = RECIPE, *, batch: int = 4, n_channels: int = 3
) -> dict[int, tuple[np.ndarray, float]]:
    net = network(n_channels)
    with Renderer(net, net.layer(layer), recipe, batch=batch) as renderer:
        return {neuron: (image, record.activation) for neuron, image, record in renderer.render(neurons)}


def activation(layer: str, image: np.ndarray, neuron: int, *, centre: bool) -> float:
    """The activation of one neuron on an image, from the whole network."""
    values = network(image.shape[-1]).activations(image[None], [layer])[layer][0, ..., neuron]
    if values.ndim == 0:
        return float(values)
    return float(values[values.shape[0] // 2, values.shape[1] // 2] if centre else values.mean())


class TestWhatIsDrawn:
    @pytest.mark.parametrize(
        ("layer", "variant"),
        [
            ("block", "neuron"),
            ("block", "channel-negative"),
            pytest.param("block", "channel", marks=pytest.mark.slow),
            pytest.param("block", "neuron-negative", marks=pytest.mark.slow),
            pytest.param("end", "neuron", marks=pytest.mark.slow),
            ("classes", "neuron"),
        ],
    )
    def test_objective_improves(self, layer: str, variant: str) -> None:
        """The image excites its neuron more, or less, than plain grey, in every variant and layer."""
        size = INPUT if layer == "classes" else (30, 36)
        recipe = Recipe(variant, replace(SHORT, n_steps=24), size)
        positive = recipe.positive
        tensor = layer if positive else {"block": "three_pre:0"}[layer]
        grey = np.full((*size, 3), 0.5, np.float32)
        for neuron, (_, value) in drawn(layer, LIVE[layer], recipe).items():
            index = neuron if positive else neuron - 4
            before = activation(tensor, grey, index, centre=recipe.centre_only)
            assert value > before if positive else value < before

    @pytest.mark.parametrize(
        ("variant", "centre"),
        [("neuron", True), pytest.param("channel", False, marks=pytest.mark.slow)],
    )
    def test_activation_is_the_whole_networks(self, variant: str, centre: bool) -> None:
        """The recorded activation is the network's own on the finished image."""
        for neuron, (image, value) in drawn("block", [0, 8], Recipe(variant, SHORT, (30, 36))).items():
            assert value == pytest.approx(activation("block", image, neuron, centre=centre), rel=1e-3)

    @pytest.mark.parametrize("n_channels", [1, 2, 5])
    def test_any_number_of_bands_is_drawn(self, n_channels: int) -> None:
        """Every band of an image is drawn, and the activation is the network's own on all of them."""
        image, value = drawn("stem", [3], n_channels=n_channels)[3]
        assert image.shape == (30, 36, n_channels)
        assert image.std((0, 1)).min() > 0.01
        assert value == pytest.approx(activation("stem", image, 3, centre=True), rel=1e-3)

    def test_a_fixed_band_keeps_its_value(self) -> None:
        """A band that is held fixed has its value at every pixel, and the others are drawn."""
        image, value = drawn("stem", [3], replace(RECIPE, fixed=((2, 0.25),)), n_channels=4)[3]
        np.testing.assert_array_equal(image[..., 1], 0.25)
        assert image[..., [0, 2, 3]].std((0, 1)).min() > 0.01
        assert value == pytest.approx(activation("stem", image, 3, centre=True), rel=1e-3)

    def test_images_have_the_size_and_range_asked_for(self) -> None:
        """An image is float32 [h, w, 3] in [0, 1]."""
        image, _ = drawn("stem", [3])[3]
        assert (image.shape, image.dtype) == ((30, 36, 3), np.float32)
        assert 0 <= image.min() < image.max() <= 1

    def test_a_margin_is_drawn_and_cut_off(self) -> None:
        """What is shown is the middle of the larger image, and its activation is that of the whole."""
        (whole, value), (cut, of_cut) = (
            drawn("block", [5], replace(RECIPE, size=size, margin=margin))[5]
            for size, margin in (((30, 36), (0, 0)), ((22, 30), (4, 3)))
        )
        np.testing.assert_array_equal(cut, whole[4:-4, 3:-3])
        assert of_cut == value

    def test_grey_network_gives_grey_images(self) -> None:
        """A network with one input channel is drawn as [h, w, 1]."""
        image, _ = drawn("stem", [3], n_channels=1)[3]
        assert image.shape == (30, 36, 1)
        assert image.std() > 0

    def test_every_neuron_asked_for_comes_once(self) -> None:
        """Neurons of several branches, in any order and repeated, come once each."""
        assert sorted(drawn("block", [8, 0, 3, 3, 5])) == [0, 3, 5, 8]

    def test_seeds_give_different_images(self) -> None:
        """Another seed gives another image of the same neuron."""
        one, other = (drawn("stem", [3], replace(RECIPE, seed=seed))[3][0] for seed in (0, 1))
        assert np.abs(one - other).max() > 0.01


class TestDirections:
    def test_a_neurons_direction_gives_its_image(self) -> None:
        """The direction of one neuron alone is the neuron: the same noise, the same image."""
        net = network()
        with Renderer(net, net.layer("block"), RECIPE, batch=2) as renderer:
            ((row, image, record),) = renderer.render_directions(np.eye(9, dtype=np.float32)[[6]], [6])
            ((_, own, of_neuron),) = renderer.render([6])
        assert row == 0
        assert record.activation == pytest.approx(of_neuron.activation, rel=1e-3)
        np.testing.assert_allclose(image, own, atol=1e-3)

    @pytest.mark.parametrize("power", [0.0, 2.0])
    def test_activation_is_the_length_along_the_direction(self, power: float) -> None:
        """The recorded activation is dot * max(0.1, cosine) ** power of the network's own values."""
        net, direction = network(), np.random.default_rng(3).uniform(size=9).astype(np.float32)
        with Renderer(net, net.layer("block"), RECIPE, batch=2) as renderer:
            found = list(renderer.render_directions(direction[None], [1], cosine_power=power))
        ((_, image, record),) = found
        values = net.activations(image[None], ["block"])["block"][0]
        at = values[values.shape[0] // 2, values.shape[1] // 2]
        dot = float(at @ direction)
        cosine = dot / (np.linalg.norm(at) + 1e-4) / (np.linalg.norm(direction) + 1e-4)
        assert record.activation == pytest.approx(dot * max(0.1, cosine) ** power, rel=1e-3)
        assert dot > 0

    def test_a_row_does_not_depend_on_the_others(self) -> None:
        """A direction with its seed has the same image wherever it stands among others."""
        net, rng = network(), np.random.default_rng(4)
        vectors = rng.normal(size=(5, 9)).astype(np.float32)
        with Renderer(net, net.layer("block"), RECIPE, batch=2) as renderer:
            many = {i: x for i, x, _ in renderer.render_directions(vectors, [0, 1, 2, 3, 4])}
            ((_, alone, _),) = renderer.render_directions(vectors[[3]], [3])
        np.testing.assert_array_equal(many[3], alone)


class TestSameBytes:
    def test_alone_or_in_company(self) -> None:
        """A neuron's JPEG is the same alone, in a full batch, at another slot of it, in other sessions."""
        net = network()
        with Renderer(net, net.layer("block"), RECIPE, batch=4) as renderer:
            company = ([6], [5, 4, 6, 8, 7], [8, 7, 5, 6])
            first, *others = ({n: i for n, i, _ in renderer.render(c)}[6] for c in company)
        with Renderer(net, net.layer("block"), RECIPE, batch=4, sessions=3) as renderer:
            others.append({n: i for n, i, _ in renderer.render(range(9))}[6])
        for other in others:
            np.testing.assert_array_equal(other, first)
            assert jpeg(other) == jpeg(first)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_of_a_large_network(self, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Weights that are held as variables, once a session, draw what constants draw, on every session."""
        exact = precision == "float32" or fastest_precision() == "bfloat16"
        # Emulated bfloat16 is rounded by each kernel in its own way; the difference grows with every step.
        preset = SHORT if exact else replace(SHORT, n_steps=1)
        recipe = replace(RECIPE, precision=precision, preset=preset)
        constant = drawn("block", [5, 6, 7], recipe)
        monkeypatch.setattr(replay, "MOST_CONSTANTS", 0)
        monkeypatch.setattr(replay, "_SMALL", 0)
        net = network()
        with Renderer(net, net.layer("block"), recipe, batch=4, sessions=2) as renderer:
            found = {n: (image, record.activation) for n, image, record in renderer.render(range(9))}
            held = renderer.sessions.graph.get_collection("variables")
        with Renderer(net, net.layer("block"), recipe, batch=4, sessions=1) as renderer:
            alone = {n: image for n, image, _ in renderer.render([6])}
        # Spectrum and Adam's two, and the kernels.
        assert len(held) > 3 + 3
        np.testing.assert_array_equal(alone[6], found[6][0])
        for neuron, (image, value) in constant.items():
            np.testing.assert_allclose(found[neuron][0], image, atol=0.02)
            np.testing.assert_allclose(found[neuron][1], value, rtol=0.01 if exact else 0.1)

    @pytest.mark.slow
    def test_in_two_processes(self) -> None:
        """Two processes draw the same bytes."""
        code = (
            "import hashlib; from atlas.drawing.images import jpeg; from atlas.featurevis.recipe import *;"
            "from atlas.featurevis.render import Renderer; from featurevis_toy import network;"
            "net = network(); recipe = Recipe(preset=Preset('p', 6, 0.05), size=(30, 36));"
            "found = list(Renderer(net, net.layer('block'), recipe, batch=4).render([6, 7]));"
            "print(hashlib.sha256(b''.join(jpeg(image) for _, image, _ in found)).hexdigest())"
        )
        root = Path(__file__).parents[2]
        environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": "/usr/bin:/bin"}
        runs = {
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, check=True, env=environment, text=True
            ).stdout
            for _ in range(2)
        }
        assert len(runs) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_on_a_real_network(self, shared: Path, precision: str) -> None:
        """On GoogLeNet's mixed3a a neuron alone, and in a batch at another slot, has the same JPEG."""
        from atlas.model.reading.load import load_model

        net = load_model(str(shared / "models" / "googlenet"))
        recipe = Recipe(preset=replace(SHORT, n_steps=20), size=(60, 60), precision=precision)
        images = []
        for neurons in ([70], list(range(64, 80)), [200, *range(65, 90)]):
            with Renderer(net, net.layer("mixed3a"), recipe, batch=16) as renderer:
                images.append(next(image for n, image, _ in renderer.render(neurons) if n == 70))
        assert len({jpeg(image) for image in images}) == 1

    @pytest.mark.slow
    def test_in_a_batch_of_fourteen(self, shared: Path) -> None:
        """Of GoogLeNet's mixed4a at 172 px, where the place in a batch tells, whoever begins the batch."""
        from atlas.model.reading.load import load_model

        net = load_model(str(shared / "models" / "googlenet"))
        recipe = Recipe(preset=replace(SHORT, n_steps=40), size=(172, 172), precision="bfloat16")
        with Renderer(net, net.layer("mixed4a"), recipe, batch=14) as renderer:
            images = [
                {n: jpeg(image) for n, image, _ in renderer.render(neurons)}
                for neurons in (range(14, 28), range(16, 28))
            ]
        assert all(images[0][n] == image for n, image in images[1].items())

    def test_everyone_has_a_place(self) -> None:
        """A neuron stands at one place of its batches, and neighbours share one wherever they begin."""
        net = network()
        with Renderer(net, net.layer("block"), RECIPE, batch=4) as renderer:
            tasks = renderer.tasks(renderer.subjects([2, 3, 4, 5, 8]))
            found = [[s and s.key for s in task.places] for task in tasks]
            repeated = [[s.key for s in task.subjects] for task in tasks]
        # The block's branches hold neurons 0 to 3 and 4 to 8.
        assert found == [[None, None, 2, 3], [4, 5, None, None], [8, None, None, None]]
        assert repeated == [[3, 3, 2, 3], [4, 5, 5, 5], [8, 8, 8, 8]]


class TestRefusals:
    def test_neuron_out_of_range(self) -> None:
        """A neuron that the layer does not have is an error before anything is drawn."""
        with pytest.raises(NeuronError, match="no neuron 9"):
            drawn("block", [0, 9])

    def test_a_band_that_is_not_there(self) -> None:
        """A band held fixed that the input does not have is an error that says so."""
        with pytest.raises(ConfigError, match="found band 4, expected 1 to 3"):
            drawn("block", [0], replace(RECIPE, fixed=((4, 0.5),)))

    def test_no_memory_halves_the_batch(self) -> None:
        """Out of memory, one session is left, then the batch is halved, and all are drawn."""
        net = network()
        with Renderer(net, net.layer("block"), RECIPE, batch=4, sessions=2) as renderer:
            draw, tried = renderer._draw, []

            def short_of_memory(session: object, task: Task) -> object:
                tried.append((renderer.sessions.n_sessions, renderer.batch))
                if renderer.batch > 1:
                    raise tf.errors.ResourceExhaustedError(None, None, "no memory")
                return draw(session, task)

            renderer._draw = short_of_memory  # type: ignore[method-assign, assignment]
            assert sorted(n for n, _, _ in renderer.render([5, 6])) == [5, 6]
        assert tried == [(2, 4), (1, 4), (1, 2), (1, 1), (1, 1)]

    def test_directions_of_another_length(self) -> None:
        """A direction must have a value for each of the layer's neurons."""
        net = network()
        with Renderer(net, net.layer("block"), RECIPE, batch=2) as renderer:
            with pytest.raises(LayerError, match=r"found an array \(1, 8\), expected \(n, 9\)"):
                next(renderer.render_directions(np.ones((1, 8), np.float32), [0]))


class TestBranches:
    def test_concatenation_is_taken_apart(self) -> None:
        """A concatenated layer's branches hold its neurons in order; negative ones before the ReLU."""
        net = network()
        found = branches(net.view, net.layer("block"), positive=True)
        assert [(b.tensor, b.first, b.n_channels) for b in found] == [("one:0", 0, 4), ("three:0", 4, 5)]
        found = branches(net.view, net.layer("block"), positive=False)
        assert [b.tensor for b in found] == ["one_pre:0", "three_pre:0"]

    def test_other_layers_are_one_branch(self) -> None:
        """A convolution and a dense layer are one branch each."""
        net = network()
        for name in ("stem", "classes"):
            (branch,) = branches(net.view, net.layer(name), positive=True)
            assert (branch.first, branch.n_channels) == (0, net.layer(name).n_channels)
