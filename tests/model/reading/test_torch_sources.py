"""PyTorch networks by every source, a module, a callable, timm, torchvision or .pt2: PyTorch's values."""

from __future__ import annotations

import random
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

import atlas
from atlas.core.errors import ModelError
from atlas.core.preprocessing import Preprocessing, Resizing
from atlas.model.network import Network
from torch_twin import declare_vision_ops, images_of, perturbed, torch

nn, F = torch.nn, torch.nn.functional
SIZE = (3, 12, 10)
TOLERANCE = 1e-5


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, a batch norm, dropout and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Any) -> Any:
        """Return five numbers for each image."""
        return self.head(self.drop(torch.relu(self.bn(self.conv(x)))).mean((2, 3)))


def difference(network: Network, module: Any, prepare: Any = lambda images: images) -> float:
    """Return the largest difference of the last layer to PyTorch's on three images, relative to its maximum.

    The images are in 0 to 1; `prepare` is what PyTorch does with them before the network.
    """
    h, w, c = network.input_shape
    images = images_of((c, h, w)) / 2 + 0.5
    with torch.no_grad():
        expected = module.eval()(prepare(images)).numpy()
    name = network.layers[-1].name
    values = network.activations(images.permute(0, 2, 3, 1).numpy(), [name])[name]
    if values.ndim > expected.ndim:  # the mean over positions is all that follows
        values = values.mean((1, 2))
    assert values.shape == expected.shape
    return float(np.abs(values - expected).max() / np.abs(expected).max())


def read(source: Any, **options: Any) -> Network:
    """Return the network in a source that gives no range."""
    return atlas.load_model(source, value_range=(0, 1), **{"input_shape": SIZE, **options})


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "bfloat16"])
def test_a_module_is_read_in_single_precision(kind: str) -> None:
    """Its values are those of the module in float32; other types are noted, and the module keeps its own."""
    dtype = getattr(torch, kind)
    module = perturbed(Net()).to(dtype)
    network = read(module)
    assert {value.dtype for value in module.parameters()} == {dtype}
    assert difference(network, module.float()) <= TOLERANCE
    assert network.name == "Net"
    noted = () if kind == "float32" else (f"weights of {kind} are computed in float32",)
    assert network.notes[: len(noted)] == noted
    assert bool(noted) == any("float32" in note for note in network.notes)


class Standardized(nn.Conv2d):  # type: ignore[misc, name-defined]
    """A convolution whose weights are standardized, as in networks without norms."""

    def forward(self, x: Any) -> Any:
        """Return the output."""
        rows = self.weight.reshape(1, len(self.weight), -1)
        weight = F.batch_norm(rows, None, None, training=True).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias)


def test_a_batch_norm_of_weights_is_no_batch_norm_of_images() -> None:
    """Its mean and variance are of the weights alone, so the network gives each image one value."""
    module = nn.Sequential(Standardized(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert difference(read(module), module) <= TOLERANCE


def test_a_module_stays_as_it_is() -> None:
    """Training modes, values and attributes are those of before, and it is read in evaluation mode."""
    module = Net().train()
    module.bn.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    names, modes = list(vars(module)), [each.training for each in module.modules()]
    network = read(module)
    assert [each.training for each in module.modules()] == modes
    assert list(vars(module)) == names
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert difference(network, module) <= TOLERANCE


def test_modes_are_put_back_after_an_error() -> None:
    """A module that cannot be read is in training as before."""
    module = Net().train()
    with pytest.raises(ModelError, match=r"Net fails on an image of 5x12x10: Given groups=1"):
        read(module, input_shape=(5, 12, 10))
    assert all(each.training for each in module.modules())


def test_wrappers_are_looked_through() -> None:
    """Layers in DataParallel are called as in the network itself."""
    module = perturbed(Net())
    network = read(nn.DataParallel(module))
    assert [layer.name for layer in network.layers] == ["conv", "head"]
    assert difference(network, module) <= TOLERANCE


def test_random_states_stay_as_they_are() -> None:
    """Reading a network draws none of the caller's random numbers."""

    def states() -> list[str]:
        return [str(random.getstate()), str(np.random.get_state()), str(torch.get_rng_state().tolist())]

    module = Net()
    before = states()
    read(module)
    assert states() == before


CODE = """
import os
import sys
from torch import nn
from parts_of_bad import head

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), head()
    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))

class Holder:
    net = Small()

ready = Small()
number = 3
def make():
    return Small()
def nothing():
    return None
def needs(classes):
    return Small()
def raises():
    raise ValueError("first\\nsecond")
def ends():
    sys.exit(2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with code of networks; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    files = {
        "code_of_nets": CODE,
        "parts_of_bad": "from torch import nn\ndef head():\n    return nn.Linear(4, 5)\n",
        "bad_import": "import sys\n1 / 0\n",
        "bad_exit": "import sys\nsys.exit(3)\n",
        "bad_syntax": "def net(:\n",
        "bad_sibling": "import not_there_at_all\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path
    for name in files:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["make", "Small", "ready", "Holder.net"])
def test_a_callable_of_the_working_folder_is_read(folder: Path, name: str) -> None:
    """A function, a class, a module and an attribute with dots are read, with what they import there."""
    network = read(f"code_of_nets:{name}")
    code = sys.modules["code_of_nets"]
    module: Any = {"ready": code.ready, "Holder.net": code.Holder.net}.get(name)
    drawn = module is None
    if drawn:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = code.make()
    assert difference(network, module) <= TOLERANCE
    assert network.sha256 == read(f"code_of_nets:{name}").sha256
    assert any("no --weights: those that" in note for note in network.notes) == drawn


REFUSED = {
    "code_of_nets:mak": r"code_of_nets has no 'mak'; did you mean make",
    "code_of_nets:Holder.nt": r"code_of_nets has no 'Holder.nt'; did you mean",
    "code_of_nets:number": r"number is no callable: found int, expected a function or a class",
    "code_of_nets:nothing": r"nothing\(\) returns no network: found NoneType, expected a torch.nn.Module",
    "code_of_nets:needs": r"needs\(\) fails: TypeError: .*'classes'.*write a function that calls it",
    "code_of_nets:raises": r"raises\(\) fails: ValueError: first: found code_of_nets.py, line 26, in raises, "
    r".*see that it runs alone",
    "code_of_nets:ends": r"ends\(\) fails: it ends the program: found code_of_nets.py, line 28, in ends",
    "no_such_code:make": r"no module no_such_code for no_such_code:make: expected a module in the working",
    "code_of_nets.py:make": r"names a file: expected a module; name it as code_of_nets:make$",
    "bad_sibling:make": r"no module not_there_at_all for bad_sibling:make",
    "bad_import:make": r"bad_import cannot be imported: ZeroDivisionError: .*: found bad_import.py, line 2;",
    "bad_exit:make": r"bad_exit cannot be imported: it ends the program: found bad_exit.py, line 2",
    "bad_syntax:make": r"bad_syntax cannot be imported: SyntaxError: .*bad_syntax.py, line 1",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_a_callable_that_makes_no_network_is_refused(folder: Path, source: str) -> None:
    """One line says why, and where in the user's code."""
    with pytest.raises(ModelError, match=REFUSED[source]) as caught:
        read(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bad_import", "no_such_code"])
def test_code_that_is_run_is_told(folder: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A module is told to be run where there is one."""
    with pytest.raises(ModelError):
        read(f"{name}:make")
    told = [record.getMessage() for record in caplog.records]
    assert told == (["bad_import:make: the code of bad_import is run"] if name == "bad_import" else [])


@pytest.fixture(scope="module")
def vision() -> Any:
    """torchvision, where it can be imported."""
    kept = declare_vision_ops()
    yield pytest.importorskip("torchvision")
    del kept


def standardized(facts: Any) -> Any:
    """Return what PyTorch does with images of 0 to 1: the mean is subtracted, the rest divided."""
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in facts)
    return lambda images: (images - mean) / std


@pytest.fixture(scope="module")
def of_timm(vision: Any) -> Network:
    """A small network of timm with random weights; the caller's random numbers are not touched."""
    pytest.importorskip("timm")
    before = torch.get_rng_state()
    network = atlas.load_model("timm:test_resnet?weights=none")
    assert torch.equal(torch.get_rng_state(), before)
    return network


def test_a_network_of_timm_is_read_with_its_preprocessing(of_timm: Network) -> None:
    """Size, mean and standard deviation are timm's; without weights there are no labels."""
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model("test_resnet", pretrained=False)
    settings = module.pretrained_cfg
    channels, *size = settings["input_size"]
    assert of_timm.input_shape == (*size, channels)
    # One number where all channels have the same.
    mean, std = (tuple(dict.fromkeys(settings[name])) for name in ("mean", "std"))
    resizing = Resizing(settings["interpolation"], settings["crop_pct"])
    assert of_timm.preprocessing == Preprocessing(resizing, (0.0, 1.0), mean, std, "rgb")
    assert (of_timm.name, of_timm.labels) == ("test_resnet (random weights)", ())
    assert difference(of_timm, module, standardized((settings["mean"], settings["std"]))) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["squash", "border"])
def test_ways_to_crop_are_known_or_refused(vision: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Photographs are squashed for some networks of timm, and padded for a few, which is refused by name."""
    data = pytest.importorskip("timm.data")
    stated = data.resolve_data_config
    monkeypatch.setattr(data, "resolve_data_config", lambda **given: stated(**given) | {"crop_mode": mode})
    if mode == "squash":
        assert atlas.load_model("timm:test_resnet?weights=none").preprocessing.resizing.squash
        return
    with pytest.raises(
        ModelError, match=r"in a way that is not known: found border, expected center or squash"
    ):
        atlas.load_model("timm:test_resnet?weights=none")


@pytest.mark.slow
def test_what_a_library_states_may_be_overridden(of_timm: Network) -> None:
    """One by one; the rest stays as the library has it."""
    source = "timm:test_resnet?weights=none"
    other = atlas.load_model(source, crop=0.5, mean=(0.5,), std=(0.25,))
    assert other.preprocessing == Preprocessing(
        replace(of_timm.preprocessing.resizing, crop=0.5), (0.0, 1.0), (0.5,), (0.25,), "rgb"
    )
    with pytest.raises(ModelError, match=r"crop does not fit: found 1\.5, expected a share above 0"):
        atlas.load_model(source, crop=1.5)
    with pytest.raises(ModelError, match="no interpolation 'cubic': expected nearest"):
        atlas.load_model(source, interpolation="cubic")  # type: ignore[arg-type]


def test_random_weights_are_the_same_twice(of_timm: Network) -> None:
    """They are drawn from one seed, whatever was drawn before."""
    torch.manual_seed(99)
    assert atlas.load_model("timm:test_resnet?weights=none").sha256 == of_timm.sha256


@pytest.fixture(scope="module")
def squeezenet(vision: Any) -> Any:
    """The squeezenet1_1 of torchvision, with random weights."""
    torch.manual_seed(4)
    return vision.models.squeezenet1_1(weights=None)


@pytest.fixture
def cached(squeezenet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of torch.hub that holds weights of squeezenet1_1."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    torch.save(squeezenet.state_dict(), folder / "squeezenet1_1-b8a52dc0.pth")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["", "?weights=IMAGENET1K_V1"])
def test_weights_of_torchvision_are_found_in_its_cache(
    cached: Path, vision: Any, squeezenet: Any, tag: str
) -> None:
    """The preprocessing is that which torchvision states with them."""
    network = atlas.load_model(f"torchvision:squeezenet1_1{tag}", input_shape=(3, 64, 64))
    stated = vision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    transforms = stated.transforms()
    assert difference(network, squeezenet, standardized((transforms.mean, transforms.std))) <= TOLERANCE
    assert network.name == "squeezenet1_1"
    assert network.preprocessing.resizing == Resizing("bilinear", 224 / 256)


@pytest.mark.slow
def test_a_network_of_torchvision_may_have_random_weights(vision: Any) -> None:
    """They are the same twice; its size is torchvision's."""
    before = torch.get_rng_state()
    network = atlas.load_model("torchvision:squeezenet1_1?weights=none")
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = vision.models.squeezenet1_1(weights=None)
    transforms = vision.models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    assert network.input_shape == (224, 224, 3)
    assert network.labels == ()
    assert difference(network, module, standardized((transforms.mean, transforms.std))) <= TOLERANCE


@pytest.mark.slow
def test_weights_of_timm_are_found_in_its_cache(
    of_timm: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read without a network, with ImageNet's labels."""
    import timm
    from huggingface_hub import constants
    from safetensors.torch import save_file

    torch.manual_seed(4)
    module = timm.create_model("test_resnet", pretrained=False)
    settings = module.pretrained_cfg
    repository = tmp_path / f"models--{settings['hf_hub_id'].replace('/', '--')}"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123")
    save_file(module.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    network = atlas.load_model("timm:test_resnet")
    assert difference(network, module, standardized((settings["mean"], settings["std"]))) <= TOLERANCE
    assert len(network.labels) == 1000
    assert "tench" in network.labels[0]


def test_weights_that_cannot_be_downloaded_are_one_line(
    of_timm: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network and a cache, timm and torchvision are refused at once, with ways out."""
    from huggingface_hub import constants

    def unreachable(*_: Any, **__: Any) -> Any:
        raise URLError("Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    start = time.monotonic()
    for source in ("timm:test_resnet", "torchvision:squeezenet1_1"):
        with pytest.raises(ModelError, match=rf"{source} cannot be built: .*\?weights=none") as caught:
            atlas.load_model(source)
        assert "--weights FILE" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 10


ZOO = {
    "timm:test_resnt?weights=none": r"no timm model 'test_resnt'; did you mean test_resnet",
    "timm:test_resnet?weights=x": r"unknown weights 'x': expected none; name them in the model: timm",
    "timm:test_resnet?colour=1": r"unknown setting colour: expected weights",
    "timm:": r"no timm model ''",
    "torchvision:squeezenet1_2": r"no torchvision model 'squeezenet1_2'; did you mean squeezenet1_",
    "torchvision:squeezenet1_1?weights=x": r"unknown weights 'x': expected IMAGENET1K_V1",
}


@pytest.mark.parametrize("source", ZOO)
def test_names_that_a_zoo_lacks_are_refused(vision: Any, source: str) -> None:
    """One line offers the nearest."""
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match=ZOO[source]):
        atlas.load_model(source)


def program(path: Path, module: Any, batch: int = 1, **shapes: Any) -> Path:
    """Save a module as torch.export makes it, with the given sizes left open."""
    names = {"n": 0, "h": 2, "w": 3}
    dynamic = ({names[key]: dim for key, dim in shapes.items()},) if shapes else None
    saved = torch.export.export(module.eval(), (torch.zeros(batch, *SIZE),), dynamic_shapes=dynamic)
    torch.export.save(saved, path)
    return path


OPEN: dict[str, dict[str, Any]] = {
    "one image": {},
    "three images": {"batch": 3},
    "any number": {"batch": 2, "n": "AUTO"},
    "up to sixteen": {"batch": 2, "n": 16},
    "any size": {"h": "AUTO", "w": "AUTO"},
    "any number and size": {"batch": 2, "n": "AUTO", "h": "AUTO", "w": "AUTO"},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("case", OPEN)
def test_a_saved_program_is_read(tmp_path: Path, case: str) -> None:
    """Whatever number of images it was exported for, its values are the module's."""
    module = perturbed(Net())
    dims: dict[str, Any] = dict(OPEN[case])
    for key in dims.keys() & {"n", "h", "w"}:
        dim = torch.export.Dim
        dims[key] = dim.AUTO if dims[key] == "AUTO" else dim(key, max=dims[key])
    path = program(tmp_path / "net.pt2", module, **dims)
    is_sized = "h" not in dims
    for size in [None, SIZE] if is_sized else [SIZE, (3, 17, 20)]:
        network = atlas.load_model(str(path), value_range=(0, 1), input_shape=size)
        assert network.name == "net"
        assert network.input_shape == (*(size or SIZE)[1:], 3)
        assert difference(network, module) <= TOLERANCE
    if is_sized:
        expected = "size: found 3,17,20, expected 3,12,10; leave --input-shape .input_shape in Python. out"
        with pytest.raises(ModelError, match=expected):
            atlas.load_model(str(path), input_shape=(3, 17, 20))
    else:
        with pytest.raises(ModelError, match=r"the size of the images .* reads is not known"):
            atlas.load_model(str(path))


class Two(Net):
    """A network of two images."""

    def forward(self, x: Any, y: Any) -> Any:  # type: ignore[override]
        """Return five numbers for each pair."""
        return super().forward(x + y)


def test_a_saved_program_of_two_inputs_is_refused(tmp_path: Path) -> None:
    """Its inputs are named with their shapes."""
    zeros = torch.zeros(1, *SIZE)
    torch.export.save(torch.export.export(Two().eval(), (zeros, zeros)), tmp_path / "two.pt2")
    with pytest.raises(ModelError, match=r"does not read images alone: found x \[1, 3, 12, 10\], y \["):
        atlas.load_model(str(tmp_path / "two.pt2"))


def pickled(path: Path, target: Path) -> None:
    """Put a pickle that makes a folder where a program keeps its sample inputs."""
    import io
    import os

    class Runs:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(target),)

    buffer = io.BytesIO()
    torch.save(Runs(), buffer)
    rewritten = path.with_suffix(".copy")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, buffer.getvalue() if "sample_inputs" in name else old.read(name))
    rewritten.replace(path)


BROKEN = ("cut off", "text", "archive", "code", "pickle", "empty")


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_program_is_refused(tmp_path: Path, case: str) -> None:
    """Damaged files are one line; code in one is not run."""
    path = program(tmp_path / "net.pt2", Net())
    if case == "cut off":
        path.write_bytes(path.read_bytes()[:-500])
    elif case in ("text", "empty"):
        path.write_text("no program" if case == "text" else "")
    elif case == "archive":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("readme.txt", "hello")
    elif case == "code":
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("net/data/aotinductor/model/net.so", b"")
    else:
        pickled(path, tmp_path / "ran")
    expected = {"code": "holds code, which is not run: found net/data/aoti", "empty": "is empty"}
    with pytest.raises(ModelError, match=expected.get(case, r"net\.pt2 cannot be read: ")) as caught:
        atlas.load_model(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not (tmp_path / "ran").exists()
