"""PyTorch networks as users give them: modules, callables, zoos and exported programs."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.core.errors import ModelError
from torch_twin import declare_vision_ops, images_of, perturbed, torch

nn, F = torch.nn, torch.nn.functional
SIZE = (3, 16, 18)


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A small classifier; `change` does something to its map."""

    def __init__(self, change: Callable[[Any], Any] = lambda x: x) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)
        self.change = change

    def forward(self, x: Any) -> Any:
        """Return the logits."""
        return self.fc(self.change(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


def agrees(network: Any, module: Any, size: tuple[int, int, int] = SIZE, layer: str = "fc") -> None:
    """Assert that a network's last layer is the module's output on three different images."""
    images = (images_of(size) + 1) / 2
    found = network.activations(images.permute(0, 2, 3, 1).numpy(), [layer])[layer]
    with torch.no_grad():
        expected = module.eval()(images).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_module_stays_as_it_is() -> None:
    """It is read in evaluation mode, and is in training mode as before."""
    module = perturbed(Net()).train()
    module.bn.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = atlas.load_model(module, input_shape=SIZE)
    assert (module.training, module.bn.training, module.fc.training) == (True, False, True)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert network.name == "Net"
    agrees(network, module)


@pytest.mark.parametrize("kind", ["half", "double", "bfloat16"])
def test_other_precisions_are_computed_in_float32_with_a_note(kind: str) -> None:
    """The module keeps its own."""
    module = getattr(perturbed(Net()), kind)()
    network = atlas.load_model(module, input_shape=SIZE)
    assert next(module.parameters()).dtype != torch.float32
    name = {"half": "float16", "double": "float64"}.get(kind, kind)
    assert f"weights of {name} are computed in float32" in network.notes
    agrees(network, module.float())


def test_wrappers_for_training_are_taken_off() -> None:
    """As DataParallel."""
    module = perturbed(Net())
    network = atlas.load_model(nn.DataParallel(module), input_shape=SIZE)
    assert [layer.name for layer in network.layers] == ["conv", "fc"]
    agrees(network, module)


def test_two_exports_of_one_model_are_the_same_model() -> None:
    """Other weights are another one."""
    module = perturbed(Net())
    first, again = (atlas.load_model(module, input_shape=SIZE) for _ in range(2))
    module.fc.bias.data += 1
    other = atlas.load_model(module, input_shape=SIZE)
    assert first.sha256 == again.sha256 != other.sha256


def test_mean_and_deviation_are_laid_before_the_network() -> None:
    """Images enter in 0 to 1."""
    module = perturbed(Net())
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    network = atlas.load_model(module, input_shape=SIZE, mean=mean, std=std)
    images = (images_of(SIZE) + 1) / 2
    found = network.activations(images.permute(0, 2, 3, 1).numpy(), ["fc"])["fc"]
    shaped = [torch.tensor(values)[None, :, None, None] for values in (mean, std)]
    with torch.no_grad():
        expected = module((images - shaped[0]) / shaped[1]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


CODE = """
import torch
from sizes import WIDTH
class Net(torch.nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, width, 3)
    def forward(self, x):
        return self.conv(x).relu()
def make(): return Net(5)
def needs(width): return Net(width)
def number(): return 3
def breaks(): raise KeyError("width")
net = Net(7)
class holder:
    make = Net
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder with a module that makes networks."""
    (tmp_path / "made_nets.py").write_text(CODE)
    (tmp_path / "sizes.py").write_text("WIDTH = 4")
    (tmp_path / "broken_nets.py").write_text("import nothing_like_it")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("made_nets", "sizes", "broken_nets"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(("name", "width"), [("make", 5), ("Net", 4), ("net", 7), ("holder.make", 4)])
def test_a_callable_in_the_working_folder_makes_the_network(name: str, width: int) -> None:
    """A function, a class, a module, or an attribute of something; random weights are always the same."""
    state = random.getstate(), torch.get_rng_state()
    first, again = (atlas.load_model(f"made_nets:{name}", input_shape=SIZE) for _ in range(2))
    assert first.layers[0].n_channels == width
    assert first.sha256 == again.sha256
    assert random.getstate() == state[0]
    assert torch.equal(torch.get_rng_state(), state[1])


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("made_nets:mak", "made_nets has no 'mak'; did you mean make"),
        ("no_nets:make", "no module no_nets for no_nets:make"),
        ("broken_nets:make", "no module nothing_like_it"),
        ("made_nets:needs", "needs.. raises TypeError: .*width.*; write a function that calls it"),
        ("made_nets:number", "returns no network: found int, expected a torch.nn.Module"),
        ("made_nets:breaks", "breaks.. raises KeyError: 'width'"),
    ],
)
def test_code_that_makes_no_network_is_refused(source: str, reason: str) -> None:
    """In one line that names the cause."""
    with pytest.raises(ModelError, match=reason) as error:
        atlas.load_model(source, input_shape=SIZE)
    assert "\n" not in str(error.value)


def _scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3)))


def _branch(x: Any) -> Any:
    return -x if x.sum() > 0 else x


REFUSED: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "no size": (Net, {}, "give it with --input-shape, channels first, like 3,224,224"),
    "channels last": (Net, {"input_shape": (224, 224, 3)}, "channels first, as PyTorch has them: 3,224,224"),
    "lazy": (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), {}, "lazy modules.*run it once on a batch"),
    "meta": (lambda: Net().to("meta"), {}, "no values: its parameters are on the device meta"),
    "script": (_scripted, {}, "is TorchScript"),
    "a condition": (lambda: Net(_branch), {}, "test_torch_sources.py, line .*, in _branch"),
    "random": (lambda: Net(lambda x: x + torch.randn_like(x)), {}, "draws random numbers.*randn_like"),
    "batch statistics": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        {},
        "mean and variance from the batch",
    ),
    "mixed images": (lambda: Net(lambda x: x - x.mean(0)), {}, "images"),
    "too small": (lambda: nn.Sequential(nn.Conv2d(3, 4, 30)), {}, "fails on an image of 3x16x18"),
    "one dimension": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.Conv1d(4, 4, 3)),
        {},
        r"conv1d \(in 2\)",
    ),
    "recurrent": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.LSTM(224, 4)),
        {},
        r"lstm \(in 2\)",
    ),
    "several inputs": (lambda: nn.Bilinear(3, 3, 3), {}, "several inputs: found input1, input2"),
    "no forward": (nn.Module, {}, "no forward"),
    "numpy": (lambda: Net(lambda x: torch.from_numpy(x.numpy())), {}, "torch.export cannot follow it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_module_that_cannot_be_read_is_refused_in_a_line(name: str) -> None:
    """With the user's line of code where there is one."""
    make, options, reason = REFUSED[name]
    size = {} if name == "no size" else {"input_shape": SIZE}
    with pytest.raises(ModelError, match=reason) as error:
        atlas.load_model(make(), **{**size, **options})
    assert "\n" not in str(error.value)


def test_a_module_called_twice_is_two_layers() -> None:
    """The second is "conv#2", whatever characters its name has."""

    class Twice(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.add_module("konv ü", nn.Conv2d(3, 3, 3, padding=1))

        def forward(self, x: Any) -> Any:
            conv = self.get_submodule("konv ü")
            return conv(conv(x).relu())

    network = atlas.load_model(Twice(), input_shape=SIZE)
    assert [layer.name for layer in network.layers] == ["konv ü", "konv ü#2"]
    assert len({layer.slug for layer in network.layers}) == 2


@pytest.mark.parametrize("batch", ["one", "any"])
def test_an_exported_program_is_read_for_any_number_of_images(tmp_path: Path, batch: str) -> None:
    """Also where it was exported for one."""
    module = perturbed(Net())
    shapes = None if batch == "one" else ({0: torch.export.Dim("n", min=1)},)
    n = 1 if batch == "one" else 2
    program = torch.export.export(module, (torch.zeros(n, *SIZE),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")
    agrees(atlas.load_model(tmp_path / "net.pt2"), module)
    with pytest.raises(ModelError, match="exported for images of another size"):
        atlas.load_model(tmp_path / "net.pt2", input_shape=(3, 20, 20))


def test_a_damaged_program_is_refused(tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "net.pt2").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(ModelError, match=r"expected a file that torch\.export\.save made"):
        atlas.load_model(tmp_path / "net.pt2")


def test_weights_are_put_into_a_callables_network(tmp_path: Path, code: None) -> None:
    """And are part of what the network is."""
    state = {"conv.weight": torch.ones(5, 3, 3, 3), "conv.bias": torch.arange(5.0)}
    torch.save(state, tmp_path / "w.pth")
    network = atlas.load_model("made_nets:make", input_shape=SIZE, weights=tmp_path / "w.pth")
    np.testing.assert_array_equal(network.parameters["conv.bias"], np.arange(5))
    with pytest.raises(ModelError, match="leave --weights out"):
        atlas.load_model("demo", weights=tmp_path / "w.pth")


@pytest.fixture(scope="module")
def vision_ops() -> Any:
    """Makes torchvision importable."""
    return declare_vision_ops()


@pytest.mark.slow
@pytest.mark.usefixtures("vision_ops")
class TestZoos:
    """timm and torchvision."""

    @pytest.mark.parametrize(
        ("source", "first", "last", "value_range"),
        [
            ("timm:test_resnet?weights=none", "conv1.0", "fc", (-1.0, 1.0)),
            ("torchvision:mobilenet_v3_small?weights=none", "features.0.0", "classifier.3", (0.0, 1.0)),
        ],
    )
    def test_random_weights_are_always_the_same(
        self, source: str, first: str, last: str, value_range: tuple[float, float]
    ) -> None:
        """With the library's names, size and preprocessing."""
        pytest.importorskip(source.partition(":")[0])
        network, again = atlas.load_model(source), atlas.load_model(source)
        assert network.sha256 == again.sha256
        assert (network.layers[0].name, network.output) == (first, last)
        assert network.value_range == value_range
        assert "preprocesses" in network.range_source
        assert "random weights" in network.name

    def test_cached_weights_are_found_where_the_hub_keeps_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the names of the classes; nothing is asked of the network."""
        vision = pytest.importorskip("torchvision")
        weights = vision.models.MobileNet_V3_Small_Weights.DEFAULT
        module = vision.models.mobilenet_v3_small().eval()
        # The hub checks the start of the SHA-256 in a file's name only when it downloads the file.
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        torch.save(module.state_dict(), folder / weights.url.rpartition("/")[2])
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        network = atlas.load_model("torchvision:mobilenet_v3_small")
        assert network.name == "mobilenet_v3_small"
        assert network.labels[1] == "goldfish"
        bias = module.classifier[3].bias.detach().numpy()
        np.testing.assert_array_equal(network.parameters["classifier.3.bias"], bias)

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("timm:resnet81", "no timm model 'resnet81'; did you mean"),
            ("torchvision:resnet81", "no torchvision model 'resnet81'; did you mean"),
            (
                "torchvision:mobilenet_v3_small?weights=IMAGENET9",
                "unknown weights 'imagenet9', expected|IMAGENET1K_V1",
            ),
            ("timm:test_resnet?size=3", "unknown setting size"),
        ],
    )
    def test_what_the_libraries_do_not_have_is_refused(self, source: str, reason: str) -> None:
        """With the names that are nearest."""
        pytest.importorskip(source.partition(":")[0])
        with pytest.raises(ModelError, match=reason):
            atlas.load_model(source)
