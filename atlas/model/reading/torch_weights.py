"""Files of PyTorch weights: .pth, .pt, .bin and .safetensors -> a module's parameters, each by its name."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError, first_line
from atlas.model.reading.torch_module import torch_module, unwrapped

# Keys under which training programs keep the weights, those of an average over training (EMA) first.
_NESTS = (
    "state_dict_ema model_ema ema_state_dict ema params_ema state_dict model_state_dict model module net "
    "network weights params"
).split()
# Counters of training, which nothing reads in evaluation.
_UNUSED = ("num_batches_tracked",)
_SHOWN = 4
_EXPECTED = "a file .pth, .pt, .bin or .safetensors"


def load_weights(module: Any, path: Path) -> list[str]:
    """Put the weights in a file into a module; return notes on what the file holds besides.

    Prefixes that all names share, such as `module.`, and nesting, as under "state_dict", are recognized.
    No code in the file is run. Raises ModelError for parameters that are missing or have another shape.
    """
    tensors, notes = _tensors(path)
    module = unwrapped(module)
    expected = _expected(module)
    prefix = _prefix(tensors, expected)
    values = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    held = {id(expected[name]) for name in expected if name in values}
    missing = [
        name
        for name, value in expected.items()
        # One tensor under two names may be saved under one of them.
        if name not in values and id(value) not in held and not name.endswith(_UNUSED)
    ]
    if missing:
        raise ModelError(
            f"{path} does not fit the network: {len(missing)} of its {len(expected)} parameters are missing",
            found=_listed([name for name in values if name not in expected] or list(values)),
            expected=_listed(missing),
            remedy="give the weights of this network, or the code of theirs",
        )
    lazy = torch_module().nn.parameter.is_lazy
    wrong = [
        name
        for name, value in expected.items()
        if name in values and not lazy(value) and values[name].shape != value.shape
    ]
    if wrong:
        name = wrong[0]
        raise ModelError(
            f"{path} does not fit the network: {len(wrong)} parameters have another shape",
            found=f"{name} {tuple(values[name].shape)}",
            expected=f"{name} {tuple(expected[name].shape)}",
            remedy="make the network with the number of classes, and the sizes, that the weights have",
        )
    _put(module, {name: values[name] for name in expected if name in values}, path)
    unread = [name for name in tensors if name.removeprefix(prefix) not in expected]
    if unread:
        notes.append(f"{len(unread)} entries of {path.name} are not in the network: {_listed(unread)}")
    return notes


def refuse_weights(path: Path) -> None:
    """Raise ModelError, for a .pth or .pt file that is given as a model: what it is, and how to give it."""
    if path.suffix != ".safetensors":
        _check_kind(path)
    if _is_script(path):
        raise ModelError(
            f"{path} is TorchScript, which cannot be exported",
            expected="the code of the network",
            remedy="--model package.module:callable, with --weights for a file of its state dict",
        )
    raise ModelError(
        f"{path} holds weights alone, or a pickled PyTorch module",
        found="a file of PyTorch",
        expected="the code of the network, too",
        remedy=f"--model package.module:callable --weights {path.name}, or --model timm:NAME",
    )


def _check_kind(path: Path) -> None:
    """Raise ModelError for a file that torch.save did not make, by its first bytes and its entries."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"{path} is empty", expected=_EXPECTED, remedy="copy or save it again")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("data.pkl") for name in names):
            return
        kind = f"an archive of {_listed(names)}" if names else "an archive of nothing"
    elif head.startswith(b"PK"):
        kind = "an archive that is cut off"
    elif head.startswith(b"\x80"):  # a pickle, as torch.save made before version 1.6
        return
    else:
        kind = "text" if head.isascii() else "bytes of another kind"
    raise ModelError(
        f"{path} is no file of PyTorch", found=kind, expected=_EXPECTED, remedy="copy or save it again"
    )


def _expected(module: Any) -> dict[str, Any]:
    """Return the tensors that a module keeps, by name; one tensor under two names is one object."""
    torch = torch_module()
    state = module.state_dict(keep_vars=True)
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _put(module: Any, values: Mapping[str, Any], path: Path) -> None:
    """Put tensors into a module, those of a module without values (on the device meta) in their place."""
    is_empty = any(value.is_meta for value in module.state_dict().values() if hasattr(value, "is_meta"))
    try:
        module.load_state_dict(dict(values), strict=False, assign=is_empty)
    except Exception as error:  # modules may have their own way to load
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"the weights in {path} cannot be put into the network: {lines[-1].strip() if lines else error}",
            remedy="load them in the callable itself",
        ) from error


def _tensors(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the tensors in a file, by name, and notes."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else None
        raise ModelError(f"no weights at {path}", found=kind, expected=_EXPECTED)
    if path.suffix == ".safetensors":
        return _read_safetensors(path), []
    torch = torch_module()
    _check_kind(path)
    if _is_script(path):
        raise ModelError(
            f"{path} is TorchScript, not weights", remedy="save them: torch.save(model.state_dict(), FILE)"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file, or one that holds code
        if "GLOBAL" in str(error) or "Unsupported" in str(error):
            raise ModelError(
                f"{path} holds Python objects besides weights, which are code; it is not run",
                found=_class_in(str(error)) or None,
                expected="a state dict",
                remedy="save the weights alone: torch.save(model.state_dict(), FILE)",
            ) from error
        raise ModelError(
            f"{path} cannot be read: {_reason(error)}",
            expected="a file that torch.save made",
            remedy="copy or save it again",
        ) from error
    return _unnested(content, path)


def _reason(error: Exception) -> str:
    """Return why torch cannot read a file; of a long text on pickles, what follows it."""
    _, _, rest = str(error).partition("WeightsUnpickler error:")
    return rest.strip().splitlines()[0] if rest.strip() else first_line(error)


def _unnested(content: Any, path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the tensors in what a file holds, looked for under the names that training programs use."""
    notes: list[str] = []
    seen: set[int] = set()
    while isinstance(content, Mapping) and id(content) not in seen:
        seen.add(id(content))
        nest = next((key for key in _NESTS if isinstance(content.get(key), Mapping)), None)
        if nest is None:
            break
        others = [key for key in _NESTS if key != nest and isinstance(content.get(key), Mapping)]
        if others:
            notes.append(f"the weights under {nest!r} of {path.name} are read, not those under {others[0]!r}")
        content = content[nest]
    torch = torch_module()
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise ModelError(
            f"{path} holds no weights",
            found=_listed(list(map(str, content)))
            if isinstance(content, Mapping)
            else type(content).__name__,
            expected="a state dict: names and tensors",
            remedy="save it: torch.save(model.state_dict(), FILE)",
        )
    return tensors, notes


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        remedy = "pip install 'circuit-atlas[torch]'"
        raise ModelError("a .safetensors file needs safetensors", found=error, remedy=remedy) from error
    try:
        return dict(load_file(path))
    except Exception as error:  # whatever the library says of a damaged file
        raise ModelError(
            f"{path} cannot be read: {first_line(error)}", remedy="copy or save it again"
        ) from error


def _prefix(tensors: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return the prefix, such as "module.", with which most names of a file are the network's."""
    counts = {"": sum(name in expected for name in tensors)}
    for name in expected:
        for key in tensors:
            if key.endswith(f".{name}"):
                counts.setdefault(key.removesuffix(name), 0)
        if len(counts) > 1:
            break
    for prefix in counts:
        counts[prefix] = sum(prefix + name in tensors for name in expected)
    return max(counts, key=lambda prefix: counts[prefix])


def _is_script(path: Path) -> bool:
    """Return whether a file is TorchScript: an archive with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name and name.endswith(".py") for name in archive.namelist())


def _class_in(text: str) -> str:
    """Return the class that torch names in its refusal to unpickle it."""
    _, _, rest = text.partition("GLOBAL ")
    return rest.split()[0] if rest else ""


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
