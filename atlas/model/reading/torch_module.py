"""A PyTorch module, or a program that torch.export saved -> a frozen graph with channels last.

The module is exported for a batch of images, and its operations are written as TensorFlow's: see
`atlas.model.channels_first`. Nothing here imports torch before it is asked for a PyTorch model.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError, first_line
from atlas.model.channels_first.torch_program import graph_of, taken_apart
from atlas.model.channels_first.values import BATCH
from atlas.model.channels_first.writer import IMAGE
from atlas.model.graph.backend import TORCH_CAN_BE_USED
from atlas.model.graph.files import graph_digest
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.torch_export import check_program, decomposed, exported, lasting_notes, quiet

# Files in a .pt2 archive that are code: compiled models, pickled objects and scripts.
_CODE = re.compile(r"/aotinductor/|/(custom|opaque)_obj\w*$|\.so$")


def torch_module() -> Any:
    """Return torch; raises ModelError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            "a PyTorch model needs torch", found=error, remedy="pip install 'circuit-atlas[torch]'"
        ) from error
    if not TORCH_CAN_BE_USED:
        raise ModelError(
            "torch cannot be used",
            found="TensorFlow, imported before atlas, and Triton, which ends the process behind it",
            remedy="import atlas before tensorflow",
        )
    return torch


def is_module(source: object) -> bool:
    """Return whether an object is a torch.nn.Module; imports nothing."""
    return any(base.__module__ == "torch.nn.modules.module" for base in type(source).__mro__)


def read_module(
    module: Any, name: str, size: Sequence[int | None] | None, *, notes: Sequence[str] = ()
) -> Frozen:
    """Return the network in a module, for images of `size` (c, h, w); the module stays as it is.

    Raises ModelError where it cannot be exported, naming the line of code, or has operations that the
    atlas cannot read.
    """
    torch = torch_module()
    module = unwrapped(module)
    _check(module, name)
    shape = checked_size(size, name)
    ready, changes = _ready(module, name)
    with _evaluated(ready), torch.no_grad():
        program = exported(ready, name, shape)
    return _written(program, name, name, shape, [*notes, *changes])


def unwrapped(module: Any) -> Any:
    """Return the module in wrappers that only say how it is run, as DataParallel and torch.compile do."""
    torch = torch_module()
    while True:
        if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            module = module.module
        elif "_orig_mod" in getattr(module, "_modules", {}):
            module = module._orig_mod
        else:
            return module


def read_program(path: Path, size: Sequence[int | None] | None) -> Frozen:
    """Return the network in a .pt2 file of torch.export.save; no code in it is run. Raises ModelError."""
    torch = torch_module()
    program = _loaded(path)
    entries = [
        spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"
    ]
    values = {n.name: n.meta["val"] for n in program.graph.nodes if n.name in entries}
    images = [value.shape for value in values.values() if len(getattr(value, "shape", ())) == 4]
    if len(entries) != 1 or len(images) != 1:
        raise ModelError(
            f"{path} does not read images alone",
            found=", ".join(f"{n} {list(getattr(values[n], 'shape', []))}" for n in entries) or "no input",
            expected="one input, (n, c, h, w)",
        )
    batch, *drawn = [length if isinstance(length, int) else None for length in images[0]]
    shape = _size_of_program(path, drawn, size)
    check_program(program, str(path))
    with torch.no_grad():
        program = _for_images(program, path, shape, batch)
    return _written(program, path.stem, str(path), shape, [])


def _written(program: Any, name: str, source: str, shape: Sequence[int], notes: Sequence[str]) -> Frozen:
    """Return a program as a frozen graph for images (c, h, w) = `shape`; `source` is its name in errors."""
    with quiet():
        program = taken_apart(program)
    graph_def = graph_of(program, source)
    return Frozen(
        name=name,
        sha256=graph_digest(graph_def),
        graph_def=graph_def,
        input_tensor=f"{IMAGE}:0",
        input_shape=(shape[1], shape[2], shape[0]),
        notes=(*notes, *lasting_notes(program)),
        is_sized=True,
    )


def _loaded(path: Path) -> Any:
    """Return the program in a .pt2 file; raises ModelError for a file that is damaged, or that holds code."""
    torch = torch_module()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            code = [name for name in archive.namelist() if _CODE.search(name)]
        if code:
            raise ModelError(
                f"{path} holds code, which is not run",
                found=code[0],
                expected="a program alone",
                remedy="save the program of torch.export.export with torch.export.save",
            )
    try:
        with quiet(), _tensors_alone():
            return torch.export.load(path)
    except Exception as error:  # whatever torch says of a file that is damaged, or of another version
        raise ModelError(
            f"{path} cannot be read: {first_line(error)}",
            expected="a file that torch.export.save made",
            remedy="export it again with the version of torch that is installed here",
        ) from error


@contextlib.contextmanager
def _tensors_alone() -> Iterator[None]:
    """Let torch unpickle tensors alone, also where it would unpickle anything; pickled objects are code."""
    names = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ[names[0]] = "1"
    try:
        yield
    finally:
        del os.environ[names[0]]
        os.environ.update(before)


def _size_of_program(
    path: Path, drawn: Sequence[int | None], size: Sequence[int | None] | None
) -> tuple[int, int, int]:
    """Return the size (c, h, w) of a program's images: as it was exported, and as the user gives the rest."""
    if size is None:
        return checked_size(drawn, str(path))
    shape = checked_size(size, str(path))
    if any(a not in (None, b) for a, b in zip(drawn, shape, strict=True)):
        raise ModelError(
            f"{path} was exported for images of another size",
            found=",".join(map(str, shape)),
            expected=",".join("any" if length is None else str(length) for length in drawn),
            remedy="leave --input-shape (input_shape in Python) out" if None not in drawn else None,
        )
    return shape


def _for_images(program: Any, path: Path, shape: Sequence[int], batch: int | None) -> Any:
    """Return a program for images of one size, for any number of them where it takes any."""
    bounds = [int(n) for r in program.range_constraints.values() for n in (r.upper, r.lower) if _is_small(n)]
    error: Exception | None = None
    for n in [BATCH, *bounds, 1, 2] if batch is None else [batch]:
        try:
            return decomposed(program.module(), shape, n)
        except Exception as caught:  # the program checks what it takes
            error = error or caught
    assert error is not None
    raise ModelError(
        f"{path} does not run on images of {'x'.join(map(str, shape))}: {first_line(error)}",
        remedy="give a size that it was exported for with --input-shape (input_shape in Python), "
        "channels first",
    ) from error


def _is_small(bound: Any) -> bool:
    return bool(0 < bound < BATCH)


def checked_size(size: Sequence[int | None] | None, name: str) -> tuple[int, int, int]:
    """Return the size (c, h, w) of images; raises ModelError where it is not given, or has channels last."""
    if size is None or len(size) != 3 or not all(length and length > 0 for length in size):
        raise ModelError(
            f"the size of the images that {name} reads is not known",
            found=None if size is None else f"{tuple(size)} for (c, h, w)",
            remedy="give it with --input-shape (input_shape in Python), channels first, like 3,224,224",
        )
    channels, height, width = (int(length or 0) for length in size)
    if channels > 4 >= width:
        raise ModelError(
            "the input shape has its channels last",
            found=tuple(size),
            expected=f"channels first, as PyTorch has them: {width},{channels},{height}",
        )
    return channels, height, width


def _check(module: Any, name: str) -> None:
    """Raise ModelError for modules that cannot be exported, whatever their code."""
    torch = torch_module()
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{name} is TorchScript, which cannot be exported",
            expected="the module that it was made from",
            remedy="give its code: --model package.module:callable --weights FILE",
        )
    tensors = [*module.named_parameters(), *module.named_buffers()]
    lazy = [key for key, value in tensors if torch.nn.parameter.is_lazy(value)]
    if lazy:
        raise ModelError(
            f"{name} has lazy modules, whose parameters have no shape yet",
            found=lazy[0],
            remedy="run it once on a batch of images first",
        )
    if any(value.is_meta for _, value in tensors):
        raise ModelError(
            f"{name} has no values: its parameters are on the device meta", remedy="load weights"
        )
    quantized = [k for k, each in module.named_modules() if ".quantized" in type(each).__module__]
    if quantized:
        raise ModelError(
            f"{name} is quantized",
            found=quantized[0] or type(module).__name__,
            expected="weights in floating point",
            remedy="give the network that was quantized",
        )
    _check_inputs(module, name)


def _check_inputs(module: Any, name: str) -> None:
    """Raise ModelError for a module whose forward does not take images alone."""
    if type(module).forward is torch_module().nn.Module.forward and "forward" not in vars(module):
        raise ModelError(
            f"{name} has no forward", expected="a method forward(self, images) that computes the network"
        )
    parameters = inspect.signature(module.forward).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p.name for p in named if p.default is p.empty]
    if len(needed) > 1:
        raise ModelError(
            f"{name} has several inputs",
            found=", ".join(needed),
            expected="images alone",
            remedy="wrap it in a module whose forward takes the images and fixes the rest",
        )
    if not any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        raise ModelError(
            f"the forward of {name} takes no images",
            found=f"forward{inspect.signature(module.forward)}",
            expected="forward(images)",
            remedy="wrap it in a module whose forward takes the images",
        )


def _ready(module: Any, name: str) -> tuple[Any, list[str]]:
    """Return a module in float32 on the processor, a copy where it is not, and what was changed."""
    tensors = [*module.parameters(), *module.buffers()]
    types = {str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()} - {"float32"}
    if not types and all(t.device.type == "cpu" for t in tensors):
        return module, []
    try:
        changed = copy.deepcopy(module).to("cpu").float()
    except Exception as error:  # some modules cannot be copied
        raise ModelError(
            f"{name} cannot be computed in float32: {first_line(error)}",
            found=" and ".join(sorted(types)) or "another device",
            remedy="give module.float().cpu()",
        ) from error
    return changed, [f"weights of {' and '.join(sorted(types))} are computed in float32"] if types else []


@contextlib.contextmanager
def _evaluated(module: Any) -> Iterator[None]:
    """Put a module into evaluation mode, and back."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, mode in modes:
            each.training = mode
