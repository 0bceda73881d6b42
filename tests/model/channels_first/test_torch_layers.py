"""Which layers are found in networks of PyTorch, and that they run: names, sizes and values are PyTorch's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.core.errors import LayerError
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.featurevis.render import Renderer
from torch_twin import perturbed, torch

nn, F = torch.nn, torch.nn.functional
SIZE = (3, 9, 12)


class Called(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, a function of its map, and a convolution."""

    def __init__(self, function: Callable[[Any], Any], channels: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.function = function
        self.last = nn.Conv2d(channels, 4, 1)

    def forward(self, x: Any) -> Any:
        """Return the output."""
        return self.last(self.function(self.first(x)))


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "an approximate GELU": (lambda x: F.gelu(F.max_pool2d(x, 2), approximate="tanh"), 6),
    "means over a grid": (lambda x: F.adaptive_avg_pool2d(x, (4, 5)), 6),
    "maxima over a grid": (lambda x: F.adaptive_max_pool2d(x, (4, 5)), 6),
    "a product over columns": (lambda x: x @ torch.linspace(-1, 1, 60).view(12, 5), 6),
    "more channels of zeros": (lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), 9),
    "a norm of a gated map": (
        lambda x: F.layer_norm(x * x.mean((2, 3), True).sigmoid(), x.shape[1:]),
        6,
    ),
    "some features are put to zero": (lambda x: (x.flatten(1) * (torch.arange(648) > 9)).view(x.shape), 6),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_between_layers_is_none(name: str) -> None:
    """Only what has a kernel is a layer, and the last one has PyTorch's values."""
    function, channels = FUNCTIONS[name]
    module = perturbed(Called(function, channels))
    network = atlas.load_model(module, input_shape=SIZE, value_range=(0, 1))
    assert {layer.name for layer in network.layers} <= {"first", "function", "last"}
    assert {"first", "last"} <= {layer.name for layer in network.layers}
    _has_values(network, module, "last")


def _has_values(network: Any, module: Any, name: str) -> None:
    images = torch.rand(3, *SIZE)
    with torch.no_grad():
        expected = module(images).permute(0, 2, 3, 1).numpy()
    assert network.layer(name).shape == expected.shape[1:3]
    found = network.activations(images.permute(0, 2, 3, 1).numpy(), [name])[name]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "active", ["Mish()", "CELU(0.6)", "ELU(0.7)", "Softplus(2)", "RReLU()", "LogSigmoid()", "Tanhshrink()"]
)
def test_a_layer_ends_with_its_activation(active: str) -> None:
    """After a batch norm too, whatever the activation is made of; a random slope is fixed in evaluation."""
    module = perturbed(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), eval(f"nn.{active}")))
    network = atlas.load_model(module, input_shape=SIZE, value_range=(0, 1))
    _has_values(network, module, network.layers[-1].name)


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_transposed_convolution_is_one_layer(extra: int, groups: int) -> None:
    """Padded or in groups, its map is as large as PyTorch's, and its values are those of its activation."""
    up = nn.ConvTranspose2d(3, 6, 3, stride=3, padding=1, output_padding=extra, groups=groups)
    module = perturbed(nn.Sequential(up, nn.BatchNorm2d(6), nn.ReLU()))
    network = atlas.load_model(module, input_shape=SIZE, value_range=(0, 1))
    assert [layer.name for layer in network.layers] == ["0"]
    _has_values(network, module, "0")


def test_weights_behind_features_are_those_of_a_map() -> None:
    """A convolution of features that were reshaped to a map has rows and columns again."""

    def some_put_to_zero(x: Any) -> Any:
        y = x.clone()
        y.view(y.shape[0], -1)[:, :3] = 0
        return y

    module = perturbed(Called(some_put_to_zero))
    module.last = nn.Sequential(nn.Conv2d(6, 5, 1), nn.Conv2d(5, 4, 3, padding=1))
    network = atlas.load_model(module, input_shape=SIZE, value_range=(0, 1))
    weights = atlas.expanded_weights(network, "last.0", "last.1")
    kernel = module.last[1].weight.detach().permute(2, 3, 1, 0).numpy()
    np.testing.assert_allclose(weights, kernel, atol=1e-6)


class Gate(nn.Module):  # type: ignore[misc, name-defined]
    """Scales channels by a gate, as squeeze-and-excite does: the module returns a product."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Any) -> Any:
        """Return the output."""
        return x * torch.sigmoid(self.expand(x.mean((2, 3), keepdim=True)))


def test_a_module_around_layers_is_its_own_output_or_refused() -> None:
    """What a name leads to is what the module returns; behind a product or a pooling there is no layer."""
    block = nn.Sequential(nn.Conv2d(4, 4, 3), Gate(4), nn.Conv2d(4, 4, 3), nn.ReLU())
    pooled = nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU(), nn.MaxPool2d(2))
    module = nn.Sequential(nn.Conv2d(3, 4, 3), block, pooled, Gate(5), nn.Conv2d(5, 6, 1)).eval()
    network = atlas.load_model(module, input_shape=(3, 20, 24))
    returned: dict[str, Any] = {}
    paths = [path for path, each in module.named_modules() if path and list(each.children())]
    for path in paths:
        module.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: returned.__setitem__(path, output.numpy())
        )
    image = np.random.default_rng(0).random((1, 20, 24, 3), np.float32)
    with torch.no_grad():
        module(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    found = {}
    for path in paths:
        with contextlib.suppress(LayerError):
            found[path] = network.activations(image, [path])[path]
    assert list(found) == ["1"]
    with pytest.raises(LayerError, match="'3' is no layer: found a module that does more after"):
        network.layer("3")
    for path, value in found.items():
        np.testing.assert_allclose(value, returned[path].transpose(0, 2, 3, 1), atol=1e-6)


@pytest.mark.parametrize("activation", ["Tanh", "Softplus", "ELU", "Sigmoid", "ReLU", "Mish"])
def test_a_norm_between_a_convolution_and_an_activation_runs(activation: str) -> None:
    """TensorFlow fuses the three; values are PyTorch's, and a picture can be drawn."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), getattr(nn, activation)(), nn.Conv2d(8, 4, 1)]
    module = perturbed(nn.Sequential(*parts))
    network = atlas.load_model(module, input_shape=(3, 50, 54))
    image = np.random.default_rng(0).random((2, 50, 54, 3), np.float32)
    with torch.no_grad():
        right = module[:3](torch.from_numpy(image.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(network.activations(image, ["0"])["0"], right, atol=1e-5)
    recipe = Recipe(preset=PRESETS["draft"], size=(50, 54))
    with Renderer(network, network.layer("3"), recipe, batch=2, sessions=1) as renderer:
        assert len(list(renderer.render([0, 1]))) == 2
