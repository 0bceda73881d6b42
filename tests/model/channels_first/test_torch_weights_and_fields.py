"""Networks of PyTorch: layers, receptive fields and weights, against PyTorch's gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import atlas
from atlas.model.network import Network, noise
from torch_copies import TorchCopy
from torch_twin import exported, images_of, perturbed, torch

nn, F = torch.nn, torch.nn.functional
SIZE = (3, 48, 40)


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """A grouped, strided convolution with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.down = nn.Conv2d(8, 12, 1, stride=2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any, active: Any = None) -> Any:
        """Return the output."""
        active = active or self.relu
        return active(self.bn1(self.conv1(x)) + self.down(x))


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """Pooling, a block, a concatenation, a gate, and a dense end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = nn.Sequential(Block())
        self.left = nn.Conv2d(12, 6, 1)
        self.right = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.squeeze = nn.Linear(18, 18)
        self.project = nn.Conv2d(18, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Any) -> Any:
        """Return the output."""
        x = self.layer1(self.pool(self.stem(x)))
        x = F.relu(torch.cat([self.left(x), self.right(x)], 1))
        gate = torch.sigmoid(self.squeeze(x.mean((2, 3))))
        x = F.relu(self.project(x * gate[:, :, None, None]))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def module() -> Any:
    return perturbed(Net())


@pytest.fixture(scope="module")
def network(module: Any) -> Network:
    return atlas.load_model(module, input_shape=SIZE, name="net")  # type: ignore[no-any-return]


def test_layers_are_called_as_modules_are(network: Network) -> None:
    """Sums and concatenations have the name of the module that they stand in; a gate's layer is one too."""
    assert {layer.name for layer in network.layers} == {
        "stem.0",
        "layer1.0.conv1",
        "layer1.0.down",
        "layer1.0",
        "left",
        "right",
        "cat",
        "squeeze",
        "project",
        "head",
    }
    assert network.layer("layer1_0_conv1").name == "layer1.0.conv1"
    assert network.layer("stem").name == "stem.0"
    assert network.input_shape == (48, 40, 3)


def test_parameters_have_pytorchs_names(network: Network, module: Any) -> None:
    """Edited under these names, with TensorFlow's layout."""
    weight = module.stem[0].weight.detach().numpy()
    np.testing.assert_array_equal(network.parameters["stem.0.weight"], weight.transpose(2, 3, 1, 0))
    assert {name for name, _ in module.named_parameters()} <= set(network.parameters)


def _gradient(function: Any, size: tuple[int, ...], at: tuple[int, ...]) -> Any:
    """Return the gradient of one output of a function of a map [c, h, w], as [h, w, c]."""
    source = torch.zeros(1, *size, requires_grad=True)
    (found,) = torch.autograd.grad(function(source)[(0, *at)], source)
    return found[0].permute(1, 2, 0).numpy()


def _agree(weights: Any, function: Any, size: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Assert that weights [h, w, source, target] are a function's gradients, and that there are no others."""
    h, w, _, n_targets = weights.shape
    for index in range(n_targets):
        gradient = _gradient(function, size, (index, *target))
        scale = np.abs(gradient).max()
        places = [
            (y, x)
            for y in range(gradient.shape[0] - h + 1)
            for x in range(gradient.shape[1] - w + 1)
            if np.abs(gradient[y : y + h, x : x + w] - weights[..., index]).max() <= 1e-5 * scale
        ]
        assert places, index
        y, x = places[0]
        outside = gradient.copy()
        outside[y : y + h, x : x + w] = 0
        assert np.abs(outside).max() <= 1e-6 * scale


def _linear_stem(module: Any, x: Any) -> Any:
    return module.stem[1](module.stem[0](x)) - module.stem[1](module.stem[0](torch.zeros_like(x)))


def test_weights_through_pooling_groups_and_a_shortcut(network: Network, module: Any) -> None:
    """The largest of a window becomes the mean, and activations pass everything on."""

    def twin(x: Any) -> Any:
        pooled = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)
        return module.layer1[0](pooled, active=lambda t: t)

    weights = atlas.expanded_weights(network, "stem.0", "layer1.0")
    _agree(weights, twin, (8, 24, 20), (3, 2))


def test_weights_from_the_image(network: Network, module: Any) -> None:
    """Strides, batch norm, an uneven number of places."""
    weights = atlas.expanded_weights(network, "input", "layer1.0.conv1")

    def twin(x: Any) -> Any:
        pooled = F.avg_pool2d(F.pad(module.stem[1](module.stem[0](x)), (1, 1, 1, 1)), 3, 2)
        return module.layer1[0].bn1(module.layer1[0].conv1(pooled))

    _agree(weights, twin, SIZE, (3, 2))


def test_weights_through_a_concatenation_and_a_gate(network: Network, module: Any) -> None:
    """The gate is held at its mean over images of noise."""
    images = torch.from_numpy(np.stack(list(noise((48, 40, 3)).images()))).permute(0, 3, 1, 2)
    with torch.no_grad():
        x = module.layer1(module.pool(module.stem(images)))
        joined = F.relu(torch.cat([module.left(x), module.right(x)], 1))
        gate = torch.sigmoid(module.squeeze(joined.mean((2, 3)))).mean(0)

    def twin(x: Any) -> Any:
        joined = torch.cat([module.left(x), module.right(x)], 1)
        return module.project(joined * gate[None, :, None, None])

    weights = atlas.expanded_weights(network, "layer1.0", "project")
    _agree(weights, twin, (12, 6, 5), (3, 2))


def test_the_copies_that_whole_networks_are_compared_with(network: Network, module: Any) -> None:
    """Made of the program's operations, they have the weights and fields that are written by hand here."""
    copy, dims = TorchCopy(exported(module, images_of(SIZE))), (1, 2, 3)
    images = torch.from_numpy(np.stack(list(noise((48, 40, 3)).images()))).permute(0, 3, 1, 2)
    for source, target, nodes in (
        ("stem.0", "layer1.0", ("relu", "relu_1")),
        ("layer1.0", "project", ("relu_1", "relu_3")),
    ):
        weights = atlas.expanded_weights(network, source, target)[..., [0, 5, 9]]
        slopes = copy.slopes(*nodes, [0, 5, 9], (dims, dims), images)
        y, x = (places.min() for places in np.nonzero(np.abs(slopes).max((2, 3))))
        found = slopes[y : y + weights.shape[0], x : x + weights.shape[1]]
        np.testing.assert_allclose(found, weights, atol=1e-6 * np.abs(weights).max(), rtol=0)
    seen = copy.boxes({"relu_1": dims})["relu_1"][3, 2]
    # Kernels of 5, 3 and 3 at strides of 2 see 5 + 4 + 8 pixels, from 8 before each eighth on.
    assert seen == ((16, 32), (8, 24))


@pytest.mark.parametrize("name", ["stem.0", "layer1.0", "cat"])
def test_receptive_fields_are_the_support_of_gradients(network: Network, module: Any, name: str) -> None:
    """At the middle of the map, with smooth activations in the place of ReLU, and means for maxima."""
    parts = {
        "stem.0": lambda x: module.stem[0](x),
        "layer1.0": lambda x: module.layer1[0](
            F.avg_pool2d(F.pad(module.stem[0](x), (1, 1, 1, 1)), 3, 2), active=lambda t: t
        ),
    }
    parts["cat"] = lambda x: torch.cat([module.left(y := parts["layer1.0"](x)), module.right(y)], 1)
    layer = network.layer(name)
    assert layer.shape is not None
    assert layer.receptive_field is not None
    at = (layer.shape[0] // 2, layer.shape[1] // 2)
    support = np.zeros(SIZE[1:], bool)
    for channel in range(layer.n_channels):
        support |= np.any(_gradient(parts[name], SIZE, (channel, *at)) != 0, axis=-1)
    field = layer.receptive_field
    for axis, (size, stride, offset) in enumerate(zip(field.size, field.stride, field.offset, strict=True)):
        places = np.flatnonzero(support.any(axis=1 - axis))
        first, last = at[axis] * stride + offset, at[axis] * stride + offset + size
        assert (places[0], places[-1]) == (max(first, 0), min(last, SIZE[axis + 1]) - 1)


class Windowed(nn.Module):  # type: ignore[misc, name-defined]
    """Attention within windows of 6 x 5 patches, added to the patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.head = nn.Conv2d(8, 5, 1)

    def attended(self, x: Any) -> Any:
        """Return the sum, before the last convolution."""
        patches = self.patches(x).permute(0, 2, 3, 1)
        windows = patches.reshape(-1, 2, 6, 2, 5, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 30, 8)
        mixed = torch.softmax(windows @ windows.transpose(1, 2), -1) @ windows
        rows = mixed.reshape(-1, 2, 2, 6, 5, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 12, 10, 8)
        return (patches + rows).permute(0, 3, 1, 2)

    def forward(self, x: Any) -> Any:
        """Return the output."""
        return self.head(self.attended(x))


def test_positions_behind_attention_within_windows_see_more_than_their_patch() -> None:
    """No window is stated for them: PyTorch's gradients reach over the whole window of patches."""
    module = perturbed(Windowed())
    network = atlas.load_model(module, input_shape=SIZE, name="windowed")
    gradient = _gradient(lambda x: module.attended(x + 1), SIZE, (0, 7, 3))
    rows, columns = (np.flatnonzero(np.abs(gradient).max((2, 1 - axis))) for axis in (0, 1))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (24, 47, 0, 19)
    behind = [layer for layer in network.layers if layer.name != "patches"]
    assert {layer.name for layer in behind} >= {"add", "head"}
    assert all(layer.receptive_field is None for layer in behind)
