"""Files of PyTorch weights: which are read, under which names, and why others are refused."""

from __future__ import annotations

import json
import os
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atlas.core.errors import ModelError
from atlas.model.reading.load import load_model
from atlas.model.reading.torch_module import read_module
from atlas.model.reading.torch_weights import load_weights
from torch_twin import torch

nn = torch.nn
SIZE = (3, 12, 10)


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, a batch norm and a dense layer."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, classes)

    def forward(self, x: Any) -> Any:
        """Return five numbers for each image."""
        return self.head(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


class Runs:
    """An object whose pickle, when it is read, writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def weights(seed: int = 1, classes: int = 5) -> dict[str, Any]:
    """Return a state dict with values of its own."""
    torch.manual_seed(seed)
    return {
        name: torch.rand(value.shape) if value.is_floating_point() else value
        for name, value in Net(classes).state_dict().items()
    }


def holds(module: Any, state: dict[str, Any]) -> bool:
    return all(
        torch.equal(value, state[name]) for name, value in module.state_dict().items() if name in state
    )


def saved(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin"])
def test_a_state_dict_is_put_into_the_network(tmp_path: Path, ending: str) -> None:
    """The ending of the name does not matter."""
    module = Net()
    assert load_weights(module, saved(tmp_path / f"net{ending}", weights())) == []
    assert holds(module, weights())


def test_safetensors_are_put_into_the_network(tmp_path: Path) -> None:
    """The values of every tensor are those of the file."""
    pytest.importorskip("safetensors")
    module = Net()
    assert load_weights(module, saved(tmp_path / "net.safetensors", weights())) == []
    assert holds(module, weights())


def test_the_format_before_version_1_6_is_read(tmp_path: Path) -> None:
    """Such a file is a pickle, no archive."""
    torch.save(weights(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    module = Net()
    load_weights(module, tmp_path / "old.pth")
    assert holds(module, weights())


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "net.encoder."])
def test_a_prefix_of_all_names_is_left_out(tmp_path: Path, prefix: str) -> None:
    """Wrappers put their own name in front of the network's."""
    module = Net()
    content = {f"{prefix}{name}": value for name, value in weights().items()}
    assert load_weights(module, saved(tmp_path / "net.pth", content)) == []
    assert holds(module, weights())


@pytest.mark.parametrize(
    "nests", [["state_dict"], ["model"], ["ema"], ["checkpoint", "model"], ["model", "state_dict"]]
)
def test_weights_are_found_under_names_of_training_programs(tmp_path: Path, nests: list[str]) -> None:
    """What stands next to them, such as the epoch, does not matter; unusual names are refused."""
    content: dict[str, Any] = weights()
    for nest in reversed(nests):
        content = {nest: content, "epoch": 3}
    path = saved(tmp_path / "net.pth", content)
    module = Net()
    if "checkpoint" in nests:
        with pytest.raises(
            ModelError, match=r"holds no weights: found checkpoint, epoch, expected a state dict"
        ):
            load_weights(module, path)
    else:
        assert load_weights(module, path) == []
        assert holds(module, weights())


@pytest.mark.parametrize("name", ["state_dict_ema", "model_ema", "ema"])
def test_the_average_over_training_is_preferred_with_a_note(tmp_path: Path, name: str) -> None:
    """Of weights and their average, the average is read, and it is said."""
    module = Net()
    notes = load_weights(module, saved(tmp_path / "net.pth", {"state_dict": weights(), name: weights(2)}))
    assert notes == [f"the weights under '{name}' of net.pth are read, not those under 'state_dict'"]
    assert holds(module, weights(2))


def test_a_file_that_holds_itself_ends(tmp_path: Path) -> None:
    """A mapping under its own key is looked into once."""
    content: dict[str, Any] = {}
    content["model"] = content
    with pytest.raises(ModelError, match="holds no weights: found model"):
        load_weights(Net(), saved(tmp_path / "net.pth", content))


def test_counters_may_be_missing(tmp_path: Path) -> None:
    """`num_batches_tracked` has no effect in evaluation."""
    state = weights()
    del state["bn.num_batches_tracked"]
    assert load_weights(Net(), saved(tmp_path / "net.pth", state)) == []


def test_entries_that_the_network_lacks_are_noted(tmp_path: Path) -> None:
    """They are named on the network that is read."""
    path = saved(tmp_path / "net.pth", {**weights(), "aux.weight": torch.ones(2)})
    notes = load_weights(Net(), path)
    assert notes == ["1 entries of net.pth are not in the network: aux.weight"]
    assert read_module(Net(), "net", SIZE, notes=notes).notes == tuple(notes)


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    """The network keeps its own type, and the rounded values."""
    state = {name: value.half() if value.is_floating_point() else value for name, value in weights().items()}
    module = Net()
    load_weights(module, saved(tmp_path / "net.pth", state))
    assert module.conv.weight.dtype == torch.float32
    assert torch.equal(module.conv.weight, state["conv.weight"].float())


def test_one_tensor_under_two_names_may_be_saved_once(tmp_path: Path) -> None:
    """Files of safetensors leave the second name out."""
    module = Net()
    module.again = nn.Linear(4, 5)
    module.again.weight = module.head.weight
    state = {**weights(), "again.bias": torch.zeros(5)}
    assert load_weights(module, saved(tmp_path / "net.pth", state)) == []
    assert torch.equal(module.again.weight, state["head.weight"])
    other = Net()
    other.again = nn.Linear(4, 5)
    with pytest.raises(ModelError, match=r"1 of its 11 parameters are missing.*expected again\.weight"):
        load_weights(other, tmp_path / "net.pth")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.DataParallel(Net()),
        lambda: torch.compile(Net()),
        lambda: nn.DataParallel(torch.compile(Net())),
    ],
    ids=["DataParallel", "compiled", "both"],
)  # fmt: skip
def test_weights_are_put_into_the_network_in_wrappers(tmp_path: Path, make: Callable[[], Any]) -> None:
    """Files with the wrapper's prefix and without it fit."""
    for prefix in ("", "module."):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of its own code
            module = make()
        content = {f"{prefix}{name}": value for name, value in weights().items()}
        assert load_weights(module, saved(tmp_path / "net.pth", content)) == []
        assert torch.equal(next(module.parameters()), weights()["conv.weight"])


def test_a_network_without_values_gets_those_of_the_file(tmp_path: Path) -> None:
    """Parameters on the device meta, and lazy ones, are replaced."""
    with torch.device("meta"):
        empty = Net()
    path = saved(tmp_path / "net.pth", weights())
    load_weights(empty, path)
    assert holds(empty, weights())
    lazy = Net()
    lazy.conv = nn.LazyConv2d(4, 3, padding=1)
    load_weights(lazy, path)
    assert holds(lazy, weights())


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    return path


def script(path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.save(torch.jit.script(nn.Conv2d(3, 4, 3)), path)
    return path


def tensors_cut_off(path: Path) -> Path:
    header = json.dumps({"conv.weight": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    return write(path, len(header).to_bytes(8, "little") + header + bytes(8))


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing parameters": (
        lambda p: saved(p / "a.pth", {k: v for k, v in weights().items() if "head" not in k}),
        r"2 of its 9 parameters are missing: .*expected head\.weight, head\.bias; give the weights of this",
    ),
    "another shape": (
        lambda p: saved(p / "a.pth", weights(classes=7)),
        r"2 parameters have another shape: found head\.weight \(7, 4\), expected head\.weight \(5, 4\)",
    ),
    "another network": (
        lambda p: saved(p / "a.pth", nn.LSTM(2, 2).state_dict()),
        r"8 of its 9 parameters are missing: found weight_ih_l0, weight_hh_l0, bias_ih_l0",
    ),
    "a list": (lambda p: saved(p / "a.pth", [1, 2]), "holds no weights: found list, expected a state dict"),
    "a tensor": (lambda p: saved(p / "a.pth", torch.ones(2)), "holds no weights: found Tensor"),
    "a whole module": (
        lambda p: saved(p / "a.pth", Net()),
        r"holds Python objects besides weights, which are code; it is not run: found \S*Net, expected",
    ),
    "a script": (lambda p: script(p / "a.pt"), "is TorchScript, not weights; save them"),
    "cut off": (lambda p: cut(saved(p / "a.pth", weights())), "found an archive that is cut off"),
    "empty": (lambda p: write(p / "a.pth", b""), "is empty: expected a file .pth"),
    "text": (lambda p: write(p / "a.pth", b"<!DOCTYPE html>"), "is no file of PyTorch: found text"),
    "bytes": (lambda p: write(p / "a.bin", bytes(range(200, 255))), "found bytes of another kind"),
    "an archive": (lambda p: archive(p / "a.pth"), "found an archive of readme.txt"),
    "a pickle cut off": (lambda p: write(p / "a.pth", b"\x80\x02}q\x00"), "cannot be read: "),
    "a folder": (lambda p: p, "no weights at .*: found a folder, expected a file"),
    "nothing": (lambda p: p / "none.pth", "no weights at .*none.pth: expected a file"),
    "safetensors cut off": (
        lambda p: tensors_cut_off(p / "a.safetensors"),
        "cannot be read: .*; copy or save",
    ),
    "safetensors of text": (lambda p: write(p / "a.safetensors", b"hello world"), "cannot be read: "),
    "safetensors of nothing": (lambda p: write(p / "a.safetensors", b""), "cannot be read: "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_weights_of_the_network_is_refused(tmp_path: Path, case: str) -> None:
    """One line says what is wrong, and the network keeps its weights."""
    make, expected = REFUSED[case]
    module = Net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    path = make(tmp_path)
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors")
    with pytest.raises(ModelError, match=expected) as caught:
        load_weights(module, path)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert holds(module, before)


@pytest.mark.parametrize("new", [True, False], ids=["archive", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path: Path, new: bool) -> None:
    """A pickle that would make a folder when it is read makes none."""
    content = {"conv.weight": torch.ones(2), "more": Runs(tmp_path / "ran")}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(ModelError, match=r"which are code; it is not run: found \S*mkdir"):
        load_weights(Net(), tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "weights": (
        lambda p: saved(p / "a.pth", weights()),
        "holds weights alone.*; --model package.module:callable --weights a.pth, or --model timm:NAME",
    ),
    "safetensors": (lambda p: write(p / "a.safetensors", bytes(9)), "holds weights alone"),
    "a script": (lambda p: script(p / "a.pt"), "is TorchScript, which cannot be exported"),
    "text": (lambda p: write(p / "a.pt", b"hello"), "is no file of PyTorch: found text"),
    "empty": (lambda p: write(p / "a.pt", b""), "is empty"),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_file_of_weights_is_no_model(tmp_path: Path, case: str) -> None:
    """The line says what it is, and how its network is given."""
    make, expected = MODELS[case]
    with pytest.raises(ModelError, match=expected):
        load_model(str(make(tmp_path)))


def test_weights_are_for_pytorch_models_alone(tmp_path: Path, toy_graph: Path) -> None:
    """Models that have their weights, and Keras applications, take none."""
    path = saved(tmp_path / "a.pth", weights())
    for source in ("keras:MobileNetV2", "demo", str(toy_graph)):
        with pytest.raises(ModelError, match=r"weights of their own are for PyTorch models.*found .*a\.pth"):
            load_model(source, weights=path)


def test_weights_are_put_into_what_a_callable_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network has the values that PyTorch computes with the file's weights."""
    (tmp_path / "of_weights.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    path = saved(tmp_path / "a.pth", {f"module.{name}": v for name, v in module.state_dict().items()})
    network = load_model("of_weights:net", input_shape=SIZE, weights=path, value_range=(0, 1))
    sys.modules.pop("of_weights")
    images = torch.rand(3, *SIZE)
    with torch.no_grad():
        expected = module(images).permute(0, 2, 3, 1).numpy()
    values = network.activations(images.permute(0, 2, 3, 1).numpy(), ["0"])["0"]
    assert abs(values - expected).max() <= 1e-5 * abs(expected).max()
