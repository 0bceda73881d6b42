"""Files of PyTorch weights: what is recognized, and what is refused."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.reading.torch_weights import load_weights, refuse_weights
from torch_twin import torch

nn = torch.nn


def net() -> Any:
    """Return a network with parameters, buffers and a counter."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


@pytest.fixture
def state() -> dict[str, Any]:
    torch.manual_seed(3)
    return dict(net().state_dict())


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in state.items()}


NESTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "model": lambda s: {"model": s, "optimizer": {"lr": 0.1}},
    "twice": lambda s: {"model": {"state_dict": s}},
    "module.": lambda s: prefixed(s, "module."),
    "model.": lambda s: {"state_dict": prefixed(s, "model.")},
    "_orig_mod.": lambda s: prefixed(s, "_orig_mod."),
    "module.backbone.": lambda s: prefixed(s, "module.backbone."),
    "half": lambda s: {name: value.half().float() for name, value in s.items()},
    "without counters": lambda s: {k: v for k, v in s.items() if "tracked" not in k},
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin"])
def test_weights_are_found_where_programs_put_them(
    tmp_path: Path, state: dict[str, Any], name: str, ending: str
) -> None:
    """Nesting and prefixes are recognized, and nothing is said."""
    path = tmp_path / f"w{ending}"
    torch.save(NESTED[name](state), path)
    module = net()
    assert load_weights(module, path) == []
    expected = NESTED["half"](state) if name == "half" else state
    np.testing.assert_array_equal(module[0].weight.detach(), expected["0.weight"])
    np.testing.assert_array_equal(module[1].running_var, expected["1.running_var"])


def test_safetensors_are_read(tmp_path: Path, state: dict[str, Any]) -> None:
    """With the prefix of a wrapper."""
    save = pytest.importorskip("safetensors.torch").save_file
    save(prefixed(state, "module."), tmp_path / "w.safetensors")
    module = net()
    assert load_weights(module, tmp_path / "w.safetensors") == []
    np.testing.assert_array_equal(module[4].bias.detach(), state["4.bias"])


def test_an_average_over_training_is_preferred_and_named(tmp_path: Path, state: dict[str, Any]) -> None:
    """As timm does with the key state_dict_ema."""
    average = {name: value + 1 for name, value in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": average}, tmp_path / "w.pth")
    module = net()
    (note,) = load_weights(module, tmp_path / "w.pth")
    assert note == "the weights under 'state_dict_ema' of w.pth are read, not those under 'state_dict'"
    np.testing.assert_array_equal(module[4].bias.detach(), average["4.bias"])


def test_what_the_network_does_not_have_is_a_note(tmp_path: Path, state: dict[str, Any]) -> None:
    """It may be a second head that the network leaves out."""
    torch.save({**state, "aux.weight": torch.zeros(2)}, tmp_path / "w.pth")
    assert load_weights(net(), tmp_path / "w.pth") == [
        "1 entries of w.pth are not in the network: aux.weight"
    ]


class Runs:
    """An object whose unpickling runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def _script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net()).save(str(path))


BAD: dict[str, tuple[Callable[[Path, dict[str, Any]], Any], str]] = {
    "missing.pth": (
        lambda path, s: torch.save({k: v for k, v in s.items() if k != "4.bias"}, path),
        r"1 of its \d+ parameters are missing: found .*, expected 4.bias; give the weights of this network",
    ),
    "another.pth": (
        lambda path, s: torch.save({"stem.weights": torch.zeros(2)}, path),
        "parameters are missing: found stem.weights, expected 0.weight, 0.bias",
    ),
    "shape.pth": (
        lambda path, s: torch.save({**s, "4.weight": torch.zeros(9, 16), "4.bias": torch.zeros(9)}, path),
        r"2 parameters have another shape: found 4.weight \(9, 16\), expected 4.weight \(2, 16\); make the",
    ),
    "module.pth": (lambda path, s: torch.save(net(), path), "Python objects besides weights, .* not run"),
    "script.pt": (lambda path, s: _script(path), "TorchScript, not weights"),
    "empty.pth": (lambda path, s: path.write_bytes(b""), "cannot be read"),
    "text.pth": (lambda path, s: path.write_text("weights"), "cannot be read|not run"),
    "list.pth": (lambda path, s: torch.save([1, 2], path), "holds no weights: found list"),
    "none.pth": (lambda path, s: torch.save({"lr": 0.1}, path), "holds no weights: found lr"),
    "folder.pth": (lambda path, s: path.mkdir(), "no weights at"),
    "text.safetensors": (lambda path, s: path.write_text("x" * 40), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_other_things_is_refused_in_a_line(
    tmp_path: Path, state: dict[str, Any], name: str
) -> None:
    """What is there, what is needed, and the way out."""
    write, reason = BAD[name]
    write(tmp_path / name, state)
    with pytest.raises(ModelError, match=reason) as error:
        load_weights(net(), tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_cut_file_is_refused(tmp_path: Path, state: dict[str, Any]) -> None:
    """At any place."""
    torch.save(state, tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    for length in (1, len(data) // 2, len(data) - 20):
        (tmp_path / "cut.pth").write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"cut.pth (cannot be read|holds Python)"):
            load_weights(net(), tmp_path / "cut.pth")


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    """A pickle may hold any."""
    torch.save({"0.weight": Runs(tmp_path / "mark")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="is not run"):
        load_weights(net(), tmp_path / "w.pth")
    assert not (tmp_path / "mark").exists()


def test_weights_and_scripts_are_no_models(tmp_path: Path, state: dict[str, Any]) -> None:
    """The line says how to give the network's code."""
    torch.save(state, tmp_path / "w.bin")
    with pytest.raises(ModelError, match=r"--model package.module:callable --weights w\.bin"):
        refuse_weights(tmp_path / "w.bin")
    _script(tmp_path / "script.pt")
    with pytest.raises(ModelError, match="TorchScript, which cannot be exported"):
        refuse_weights(tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "other.bin", "w") as archive:
        archive.writestr("readme.txt", "x")
    refuse_weights(tmp_path / "other.bin")
