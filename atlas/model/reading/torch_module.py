"""A PyTorch module, or a program that torch.export saved -> a frozen graph with channels last.

The module is exported for a batch of images, and its operations are written as TensorFlow's: see
`atlas.model.channels_first`. Nothing here imports torch before it is asked for a PyTorch model.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.channels_first.torch_program import graph_of
from atlas.model.channels_first.values import BATCH
from atlas.model.channels_first.writer import IMAGE
from atlas.model.graph.files import graph_digest
from atlas.model.reading.freezing import first_line
from atlas.model.reading.frozen import Frozen

Size = Sequence[int]
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')


def torch_module() -> Any:
    """Return torch; raises ModelError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            "a PyTorch model needs torch", found=error, remedy="pip install 'circuit-atlas[torch]'"
        ) from error
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
    if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        module = module.module
    _check(module, name)
    shape = checked_size(size, name)
    ready, changes = _ready(module)
    with _evaluated(ready), torch.no_grad():
        program = _exported(ready, name, shape)
    graph_def = graph_of(program, name)
    return Frozen(
        name=name,
        sha256=graph_digest(graph_def),
        graph_def=graph_def,
        input_tensor=f"{IMAGE}:0",
        input_shape=(shape[1], shape[2], shape[0]),
        notes=(*notes, *changes),
        is_sized=True,
    )


def read_program(path: Path, size: Sequence[int | None] | None) -> Frozen:
    """Return the network in a .pt2 file of torch.export.save; raises ModelError."""
    torch = torch_module()
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever torch says of a file that is damaged, or of another version
        raise ModelError(
            f"{path} cannot be read: {first_line(error)}",
            expected="a file that torch.export.save made",
            remedy="export it again with the version of torch that is installed here",
        ) from error
    entries = [
        spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"
    ]
    shapes = {n.name: n.meta["val"].shape for n in program.graph.nodes if n.name in entries}
    images = [shape for shape in shapes.values() if len(shape) == 4]
    if len(entries) != 1 or len(images) != 1:
        raise ModelError(f"{path} does not read images alone", found=f"{len(entries)} inputs", expected="one")
    drawn = [length if isinstance(length, int) else None for length in images[0][1:]]
    given = list(size) if size is not None else [None] * 3
    shape = checked_size([a or b for a, b in zip(drawn, given, strict=True)], str(path))
    if size is not None and shape != tuple(size):
        raise ModelError(
            f"{path} was exported for images of another size",
            found=shape,
            expected=tuple(size),
            remedy="leave --input-shape out, or export it with dynamic sizes",
        )
    with torch.no_grad():
        try:
            program = _decomposed(program.module(), shape, BATCH)
        except Exception:  # exported for a fixed number of images
            program = program.run_decompositions({})
    graph_def = graph_of(program, str(path))
    return Frozen(
        name=path.stem,
        sha256=graph_digest(graph_def),
        graph_def=graph_def,
        input_tensor=f"{IMAGE}:0",
        input_shape=(shape[1], shape[2], shape[0]),
        is_sized=True,
    )


def checked_size(size: Sequence[int | None] | None, name: str) -> tuple[int, int, int]:
    """Return the size (c, h, w) of images; raises ModelError where it is not given, or has channels last."""
    if size is None or len(size) != 3 or not all(size):
        raise ModelError(
            f"the size of the images that {name} reads is not known",
            found=None if size is None else f"{tuple(size)} for (c, h, w)",
            remedy="give it with --input-shape, channels first, like 3,224,224",
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
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if len(needed) > 1:
        raise ModelError(
            f"{name} has several inputs",
            found=", ".join(needed),
            expected="images alone",
            remedy="wrap it in a module whose forward takes the images and fixes the rest",
        )


def _ready(module: Any) -> tuple[Any, list[str]]:
    """Return a module in float32 on the processor, a copy where it is not, and what was changed."""
    torch = torch_module()
    tensors = [*module.parameters(), *module.buffers()]
    types = {str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()} - {"float32"}
    if not types and all(t.device.type == "cpu" for t in tensors):
        return module, []
    changed = copy.deepcopy(module).to("cpu").to(torch.float32)
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


def _exported(module: Any, name: str, shape: Size) -> Any:
    """Return a module's program for any number of images, or else for one; raises ModelError."""
    try:
        return _decomposed(module, shape, BATCH)
    except Exception as error:  # the module's own code may raise anything
        with contextlib.suppress(Exception):
            return _decomposed(module, shape, 1)
        raise _not_exported(error, name, shape) from error


def _decomposed(module: Any, shape: Size, batch: int) -> Any:
    torch = torch_module()
    with warnings.catch_warnings():  # torch's own, of its own code
        warnings.simplefilter("ignore")
        # Memory that is never touched is never taken.
        program = torch.export.export(module, (torch.empty(batch, *shape),))
        # The empty table keeps composites whole, and makes operations in place ordinary ones.
        return program.run_decompositions({})


def _not_exported(error: Exception, name: str, shape: Size) -> ModelError:
    """Return the error of a module that cannot be exported: the line of the user's code, and a remedy."""
    text = first_line(error)
    where = _line_of_user(error)
    if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
        text = "what it does depends on the values of the image"
        remedy = "write the condition without an if over values, or export the part in front of it"
    elif type(error).__name__ in ("RuntimeError", "ValueError", "AssertionError", "TypeError"):
        remedy = f"does it read images of {'x'.join(map(str, shape))}? Give --input-shape"
    else:
        remedy = "see whether torch.export.export takes the module"
    return ModelError(f"{name} cannot be exported: {text}", found=where or None, remedy=remedy)


def _line_of_user(error: Exception) -> str:
    """Return the last line outside of torch that an error went through: "net.py, line 12, in forward"."""
    torch_folder = str(Path(torch_module().__file__).parent)
    frames = [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
    frames += [(file, int(line), function) for file, line, function in _LINE.findall(str(error))]
    own = [
        f
        for f in frames
        if not f[0].startswith((torch_folder, str(Path(__file__).parent), "<")) and f[2] != "<module>"
    ]
    return f"{Path(own[-1][0]).name}, line {own[-1][1]}, in {own[-1][2]}" if own else ""
