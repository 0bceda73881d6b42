"""Weights held against images, beside sums that NumPy makes one window at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.analysis import fidelity as module
from atlas.analysis.fidelity import Claim, Compared, claim_of, fidelity
from atlas.analysis.image_pass import Batch
from atlas.analysis.weights import Placement, expanded_weights, placement
from atlas.core.errors import AtlasError, ExamplesError
from atlas.core.neuron import Layer
from atlas.core.records import Fidelity, Floats
from atlas.model.carriers import before_activations
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from toys import hand_made, kernel

SHAPE = (20, 24, 3)
POINT = Placement((0, 0), (0, 0), (1, 1), (1, 1), ((0,), (0,)))
N_IMAGES = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images of noise, of the size of the networks' input."""
    for i in range(N_IMAGES):
        pixels = np.random.default_rng(i).integers(0, 256, SHAPE, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return tmp_path


def pixels_of(folder: Path) -> Floats:
    """Return the images, [n, h, w, c] in 0 to 1."""
    return np.stack([np.asarray(Image.open(path), np.float32) / 255 for path in sorted(folder.iterdir())])


def net(second: Callable[[Any], Any], *, stride: int = 1) -> Network:
    """Return a network of two layers with biases, of which `second` makes the other from the one."""

    def build(x: Any) -> None:
        first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), stride, "SAME") + 0.5, name="first")
        tf.nn.relu(second(first), name="second")

    return hand_made(build, SHAPE)


def conv(
    *shape: int, strides: int = 1, padding: str = "SAME", name: str = "before", **options: Any
) -> Callable[[Any], Any]:
    """Return a convolution with a bias; its result is called `name`."""
    bias = np.linspace(-1, 1, shape[3], dtype=np.float32)
    return lambda x: tf.add(tf.nn.conv2d(x, balanced(*shape), strides, padding, **options), bias, name=name)


def balanced(*shape: int) -> Floats:
    """Return a kernel whose weights of a target add up to zero: it fires at half of the positions."""
    weights = kernel(*shape, seed=1)
    return weights - weights.reshape(-1, shape[-1]).mean(0)


def joined(x: Any) -> Any:
    """Return two branches of convolutions of other sizes."""
    return tf.concat([conv(1, 1, 6, 4, name="one")(x), conv(5, 3, 6, 3, name="other")(x)], -1, name="before")


def flat(x: Any) -> Any:
    """Return a dense layer over a whole map, borders included."""
    rows = tf.reshape(x, [-1, 20 * 24 * 6])
    return tf.add(rows @ balanced(20 * 24 * 6, 5), 0.25, name="before")


LINEAR = {
    "same": net(conv(3, 5, 6, 7)),
    "strided": net(conv(3, 3, 6, 7, strides=2)),
    "even kernel": net(conv(4, 2, 6, 7, strides=2, padding="VALID")),
    "dilated": net(conv(3, 3, 6, 7, dilations=2)),
    "mean pooling": net(lambda x: conv(3, 3, 6, 7)(tf.nn.avg_pool2d(x, 3, 2, "SAME"))),
    "branches": net(joined),
    "dense": net(flat),
    "cropped": net(lambda x: conv(3, 3, 6, 7)(x[:, 4:-4, 6:-6])),
    "cropped and pooled": net(lambda x: conv(3, 3, 6, 7)(tf.nn.avg_pool2d(x[:, :, :12], 3, 1, "SAME"))),
    "after strides": net(conv(3, 3, 6, 7, strides=2), stride=2),
}


class TestLinearPaths:
    """Where nothing between the two layers is nonlinear, the weights are the whole truth."""

    @pytest.mark.parametrize("network", LINEAR.values(), ids=LINEAR)
    def test_weights_explain_all_before_the_activation(self, network: Network, folder: Path) -> None:
        """R² is 1: the window, the stride and the positions are the right ones."""
        found = fidelity(network, "second", folder, source="first")
        assert found.source == "first"
        assert found.n_images == N_IMAGES
        assert found.n_samples >= N_IMAGES
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-5)
        assert found.correlation[:, -1] == pytest.approx(1, abs=1e-5)
        assert np.nanmin(found.correlation_after[:, -1]) < 0.99

    @pytest.mark.parametrize("name", ["same", "strided", "branches", "dense"])
    def test_contributions_add_up_to_the_value_before_the_activation(
        self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Their sum over all inputs, and the bias, is the mean value at the positions where it fires."""
        monkeypatch.setattr(module, "MOST_OF_IMAGE", 10**6)
        monkeypatch.setattr(module, "N_SAMPLES", 10**6)
        network = LINEAR[name]
        found = fidelity(network, "second", folder, source="first")
        images = pixels_of(folder)
        before = network.activations(images, ["before:0"])["before:0"]
        bias = network.activations(np.zeros((1, *SHAPE), np.float32), ["before:0"])["before:0"]
        where = _inside(network, before)
        values = before.reshape(len(images), -1, before.shape[-1])[:, where].reshape(-1, before.shape[-1])
        # With an image of zeros the first layer is its own bias everywhere: not what the weights leave out.
        own = network.activations(np.zeros((1, *SHAPE), np.float32), ["first"])["first"]
        assert own.min() == pytest.approx(0.5)
        weights = expanded_weights(network, "first", "second")
        constant = bias.reshape(-1, bias.shape[-1])[where[len(where) // 2]] - 0.5 * weights.sum((0, 1, 2))
        assert (found.n_firing == (values > 0).sum(0)).all()
        fires = found.n_firing > 0
        assert fires.sum() > 2
        expected = np.where(values > 0, values, 0).sum(0)[fires] / found.n_firing[fires]
        sums = (found.contribution.sum(0) + constant)[fires]
        assert sums == pytest.approx(expected, abs=1e-4 * float(np.abs(values).max()))

    def test_weights_on_the_image_are_those_of_its_values_from_0_to_1(self, folder: Path) -> None:
        """The source may be the image, whatever range the graph reads."""
        found = fidelity(LINEAR["same"], "first", folder)
        assert found.source == "input"
        assert found.kept == (1, 3)
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-5)


def _inside(network: Network, before: Floats) -> list[int]:
    """Return the flat positions whose window lies within the first layer's map; 0 for a dense layer."""
    if before.ndim == 2:
        return [0]
    place = placement(network, "first:0", "second")
    assert place.stride is not None
    h, w = network.shapes["first"][1:3]
    inside = []
    for p, q in np.ndindex(*before.shape[1:3]):
        top = place.first[0] + (p - place.centre[0]) * place.stride[0]
        left = place.first[1] + (q - place.centre[1]) * place.stride[1]
        if min(top, left) >= 0 and top + place.window[0] <= h and left + place.window[1] <= w:
            inside.append(p * before.shape[2] + q)
    return inside


class TestBlocks:
    """Blocks of real networks, in which a path is the identity."""

    def test_a_residual_sum_and_its_activation_are_read_together(self, folder: Path) -> None:
        """TensorFlow would fuse a convolution, its bias, the sum and the activation to one op."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 1, "SAME") + 0.5, name="first")
            tf.nn.relu(first + conv(3, 3, 6, 6, name="added")(first), name="second")

        network = hand_made(build, SHAPE)
        image = np.random.default_rng(0).random((1, *SHAPE), np.float32)
        layer = network.layers[-1]
        (part,) = before_activations(network, layer, network.input_tensor)
        assert part.tensor != layer.tensor
        both = network.activations(image, [layer.name, part.tensor])
        assert np.array_equal(both[layer.name], np.maximum(both[part.tensor], 0))
        assert fidelity(network, layer.name, folder).n_samples

    @pytest.mark.parametrize(
        "hard",
        [
            lambda x: tf.clip_by_value(0.2 * x + 0.5, 0, 1),
            lambda x: tf.nn.relu6(x + 3) / 6,
            lambda x: tf.nn.relu6(x + 3) * np.float32(1 / 6),
        ],
    )
    def test_a_hard_sigmoid_is_compared_before_its_scaling(
        self, hard: Callable[[Any], Any], folder: Path
    ) -> None:
        """Weights take all of it for the identity, also the factor inside."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 1, "SAME"), name="first")
            tf.identity(hard(conv(3, 3, 6, 7)(first)), name="second")

        network = hand_made(build, SHAPE)
        found = fidelity(network, network.layers[-1].name, folder, source="first")
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-5)

    def test_a_part_that_is_the_source_itself_is_explained_whole(self, folder: Path) -> None:
        """In a U-Net's concatenation the skipped map has no activation after the source's own."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6) - 0.2, 1, "SAME"), name="first")
            tf.concat([first, tf.nn.relu(conv(3, 3, 6, 5)(first))], -1, name="joined")

        network = hand_made(build, SHAPE)
        found = fidelity(network, "joined", folder, source="first")
        known = ~np.isnan(found.r2[:, -1])
        assert known.sum() > 7
        assert found.r2[known, -1] == pytest.approx(1, abs=1e-5)


class TestNonlinearPaths:
    """With an activation in between, the numbers are those of a direct computation."""

    @pytest.fixture
    def bottleneck(self) -> Network:
        """Return a network whose second layer reads the first through a bottleneck with a ReLU."""

        def second(x: Any) -> Any:
            inner = tf.nn.relu(tf.nn.conv2d(x, kernel(1, 1, 6, 4, seed=2), 1, "SAME") - 0.5)
            return conv(3, 3, 4, 7)(inner)

        return net(second)

    def test_equals_a_direct_computation(self, bottleneck: Network, folder: Path) -> None:
        """R², correlations and contributions, for one, three and all inputs, at the sampled positions."""
        found = fidelity(bottleneck, "second", folder, source="first", top=4)
        assert found.kept == (1, 3, 4, 6)
        weights = expanded_weights(bottleneck, "first", "second").astype(np.float64)
        maps = bottleneck.activations(pixels_of(folder), ["first", "before:0", "second"])
        samples = []
        claim = claim_of(bottleneck, bottleneck.layer("second"), "first", "first:0", top=4)
        positions = Compared(claim, lambda: weights.astype(np.float32), N_IMAGES)._positions
        for i in range(N_IMAGES):
            for h, w in positions(i):
                samples.append((i, h, w))
        assert len(samples) == found.n_samples
        windows = np.stack([maps["first"][i, h - 1 : h + 2, w - 1 : w + 2] for i, h, w in samples])
        at = tuple(np.array(samples).T)
        parts = np.einsum("nhws,hwst->nst", windows.astype(np.float64), weights)
        for t in np.flatnonzero(found.n_firing > 2):
            order = np.argsort(
                -np.linalg.norm(weights[..., t], axis=(0, 1)).astype(np.float32), kind="stable"
            )
            for column, k in enumerate(found.kept):
                prediction = parts[:, order[:k], t].sum(1)
                for values, r2, correlation in (
                    (maps["before:0"][at][:, t], found.r2, found.correlation),
                    (maps["second"][at][:, t], found.r2_after, found.correlation_after),
                ):
                    error = values - prediction
                    assert r2[t, column] == pytest.approx(1 - error.var() / values.var(), abs=1e-4)
                    expected = np.corrcoef(prediction, values)[0, 1]
                    assert correlation[t, column] == pytest.approx(expected, abs=1e-5)
            fires = maps["second"][at][:, t] > 0
            expected = parts[fires][:, :, t].mean(0)
            assert found.contribution[:, t] == pytest.approx(expected, rel=1e-4, abs=1e-5)
            products = np.abs(windows[fires] * weights[..., t])
            assert found.magnitude[:, t] == pytest.approx(products.sum((1, 2)).mean(0), rel=1e-4)
            assert np.abs(found.shares(t)).sum() == pytest.approx(1, rel=1e-5)
            assert (found.shares(t) * found.contribution[:, t] >= 0).all()

    def test_twice_the_same_whatever_the_other_images_are(self, bottleneck: Network, folder: Path) -> None:
        """Positions depend on an image's number alone."""
        one, other = (fidelity(bottleneck, "second", folder, source="first") for _ in range(2))
        for name in Fidelity.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)

    def test_chunks_do_not_matter(
        self, bottleneck: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However few contributions are in memory at a time, the sums are the same."""
        whole = fidelity(bottleneck, "second", folder, source="first")
        monkeypatch.setattr(module, "_AT_ONCE", 100)
        parts = fidelity(bottleneck, "second", folder, source="first")
        assert parts.r2 == pytest.approx(whole.r2, rel=1e-4, abs=1e-6)
        assert parts.contribution == pytest.approx(whole.contribution, rel=1e-4, abs=1e-6)


class TestBeforeTheActivation:
    """The value that an activation function is applied to."""

    @pytest.mark.parametrize(
        "activate",
        [
            tf.nn.relu,
            tf.nn.relu6,
            tf.nn.elu,
            tf.nn.leaky_relu,
            lambda x: tf.maximum(0.1 * x, x),
            lambda x: x * tf.sigmoid(x),
            tf.nn.gelu,
            lambda x: tf.nn.gelu(x, approximate=True),
            lambda x: x * tf.nn.relu6(x + 3) / 6,
            lambda x: x * (tf.nn.relu6(x + 3) * np.float32(1 / 6)),
            lambda x: x * tf.tanh(tf.nn.softplus(x)),
            lambda x: tf.minimum(tf.maximum(x, 0), 6),
            lambda x: tf.identity(tf.nn.relu(tf.identity(x))),
            lambda x: tf.clip_by_value(0.2 * x + 0.5, 0, 1),
        ],
    )
    def test_is_found_behind_one_op_and_several(self, activate: Callable[[Any], Any]) -> None:
        """It is the convolution with its bias."""

        def build(x: Any) -> None:
            first = tf.add(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 1, "SAME"), 0.5, name="before")
            tf.identity(activate(first), name="end")

        network = hand_made(build, SHAPE)
        image = np.random.default_rng(0).random((1, *SHAPE), np.float32)
        (part,) = before_activations(network, network.layers[-1], network.input_tensor)
        values = network.activations(image, [part.tensor, "before:0"])
        assert np.array_equal(values[part.tensor], values["before:0"])

    def test_without_an_activation_it_is_the_layer_itself(self) -> None:
        """Sums, and convolutions that end in no activation, are compared with themselves."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 1, "SAME"), name="first")
            tf.add(first, tf.nn.conv2d(first, kernel(3, 3, 6, 6), 1, "SAME"), name="end")

        network = hand_made(build, SHAPE)
        layer = network.layers[-1]
        (part,) = before_activations(network, layer, network.input_tensor)
        assert part.tensor == layer.tensor

    def test_each_branch_of_a_concatenation_has_its_own(self) -> None:
        """A concatenation of activations is taken apart."""

        def build(x: Any) -> None:
            parts = [
                tf.nn.relu(tf.nn.conv2d(x, kernel(n, n, 3, n), 1, "SAME", name=f"conv{n}")) for n in (1, 3, 5)
            ]
            tf.concat(parts, -1, name="joined")

        network = hand_made(build, SHAPE)
        found = before_activations(network, network.layer("joined"), network.input_tensor)
        assert [(part.tensor, part.first, part.n_channels) for part in found] == [
            ("conv1:0", 0, 1),
            ("conv3:0", 1, 3),
            ("conv5:0", 4, 5),
        ]


class TestWhatCannotBeSaid:
    """Numbers that are not defined, and layers that cannot be compared."""

    def test_a_constant_neuron_has_no_r2(self, folder: Path) -> None:
        """A neuron without weights is the same everywhere: its numbers are not a number, others' are."""
        k = kernel(3, 3, 6, 7, seed=1)
        k[..., 2] = 0
        network = net(lambda x: tf.nn.conv2d(x, k, 1, "SAME") + 0.1)
        found = fidelity(network, "second", folder, source="first")
        assert np.isnan(found.r2[2]).all()
        assert np.isnan(found.correlation[2]).all()
        assert np.isfinite(np.delete(found.r2, 2, 0)).all()
        assert not found.shares(2).any()

    def test_what_rounding_leaves_of_a_constant_is_no_variance(self, folder: Path) -> None:
        """A neuron of a large bias and hardly any weight varies by its last digit alone."""
        k = kernel(3, 3, 6, 7, seed=1)
        k[..., 2] *= 1e-7
        bias = np.where(np.arange(7) == 2, 100, 0).astype(np.float32)
        network = net(lambda x: tf.nn.conv2d(x, k, 1, "SAME") + bias)
        found = fidelity(network, "second", folder, source="first")
        assert np.isnan(found.r2[2]).all()
        assert np.isfinite(np.delete(found.r2, 2, 0)).all()

    def test_a_neuron_that_never_fires_contributes_nothing(self, folder: Path) -> None:
        """Far below zero nothing is summed, and R² is of the value before the activation."""
        network = net(lambda x: tf.nn.conv2d(x, kernel(3, 3, 6, 7, seed=1), 1, "SAME") - 1e3)
        found = fidelity(network, "second", folder, source="first")
        assert not found.n_firing.any()
        assert not found.contribution.any()
        assert found.correlation[:, -1] == pytest.approx(1, abs=1e-4)
        assert np.isnan(found.correlation_after).all()

    def test_after_upsampling_only_the_centre_counts(self, folder: Path) -> None:
        """Other positions have other weights; the record says which were looked at."""
        network = net(lambda x: conv(3, 3, 6, 7)(tf.image.resize(x, (40, 48), "bilinear")))
        found = fidelity(network, "second", folder, source="first")
        assert found.what == "the centre of each image"
        assert found.n_samples == N_IMAGES
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-3)

    def test_windows_larger_than_the_map_are_said_to_be(self, folder: Path) -> None:
        """No position has its window within the map: the centre is compared, with zeros around it."""
        network = net(conv(41, 3, 6, 7))
        found = fidelity(network, "second", folder, source="first")
        assert found.what.startswith("the centre of each image, where the window reaches beyond the map")
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-4)

    def test_a_value_that_is_not_finite_is_an_error(self) -> None:
        """It is named with its image."""
        layer = Layer("a", "a", "conv", "a:0", 2, (1, 1), None)
        claim = Claim(layer, "b", "b:0", ("a:0",), POINT, 3, 50)
        compared = Compared(claim, lambda: np.ones((1, 1, 3, 2), np.float32), 1)
        values = {
            name: np.full((1, 1, 1, n), np.inf, np.float32) for name, n in (("a", 2), ("a:0", 2), ("b:0", 3))
        }
        with pytest.raises(ExamplesError, match=r"a:0: its activation on x\.png is not finite"):
            compared.add(Batch(0, ("x.png",), np.zeros((1, 1, 1, 3), np.float32), values))

    def test_tokens_are_compared_as_the_map_that_they_stand_for(self, folder: Path) -> None:
        """Before the activation of tokens the weights explain all; behind an attention, the centre counts."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(4, 4, 3, 6), 4, "VALID"), name="first")
            tokens = tf.reshape(first, [-1, 30, 6])
            second = tf.nn.gelu(tf.einsum("nts,sc->ntc", tokens, balanced(6, 7)) + 0.1, name="second")
            looks = tf.nn.softmax(tf.einsum("ntc,nuc->ntu", second, second) * 0.01)
            tf.add(second, tf.einsum("ntu,nuc->ntc", looks, second), name="third")

        network = hand_made(build, SHAPE)
        names = [layer.name for layer in network.layers]
        found = fidelity(network, names[1], folder, source="first")
        assert found.r2[:, -1] == pytest.approx(1, abs=1e-4)
        assert fidelity(network, names[-1], folder).what == "the centre of each image"

    def test_values_that_are_no_map_are_refused_by_name(self) -> None:
        """What has positions on one axis alone cannot be compared."""
        network = LINEAR["same"]
        vars(network)["shapes"] = {**network.shapes, "first": (None, 7, 6)}
        try:
            with pytest.raises(
                AtlasError, match="second: its weights from first cannot be held against images"
            ):
                claim_of(network, network.layer("second"), "first", "first:0", top=50)
        finally:
            del vars(network)["shapes"]

    def test_of_very_many_images_each_nth_is_looked_at(self) -> None:
        """As many as samples are wanted, evenly spread."""
        layer = Layer("a", "a", "conv", "a:0", 2, (1, 1), None)
        claim = Claim(layer, "b", "b:0", ("a:0",), POINT, 3, 50)
        compared = Compared(claim, lambda: np.ones((1, 1, 3, 2), np.float32), 3 * module.N_SAMPLES)
        due = [n for n in range(3 * module.N_SAMPLES) if compared._is_due(n)]
        assert len(due) == module.N_SAMPLES
        assert set(np.diff(due).tolist()) == {3}
