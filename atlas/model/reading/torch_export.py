"""A PyTorch module -> the program that torch.export makes of it; errors name the line of the user's code."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import random
import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atlas.core.errors import ModelError, first_line
from atlas.model.channels_first.values import BATCH

Size = Sequence[int]
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')
_ALONE = "the same values for an image at each call"
_BATCH_NORMS = ("_native_batch_norm_legit.no_stats", "_native_batch_norm_legit_functional.default")


def exported(module: Any, name: str, shape: Size) -> Any:
    """Return a module's program for any number of images, or else for one; raises ModelError.

    Code that fails for many images may run with one; what is written for one is freed of it later.
    """
    before = _random_state()
    try:
        try:
            program = decomposed(module, shape, BATCH)
        except (Exception, SystemExit) as error:  # the module's own code may raise anything
            try:
                program = decomposed(module, shape, 1)
            except (Exception, SystemExit):
                raise _not_exported(error, module, name, shape) from error
        if _random_state() != before:
            raise ModelError(
                f"{name} draws random numbers when it is evaluated",
                found="random or numpy.random",
                expected=_ALONE,
                remedy="let them be drawn only where self.training is true",
            )
    finally:
        _set_random_state(before)
    check_program(program, name)
    return program


def decomposed(module: Any, shape: Size, batch: int) -> Any:
    """Return a module's program for `batch` images (c, h, w) = `shape`, composites whole."""
    import torch

    with quiet():
        # Memory that is never touched is never taken.
        program = torch.export.export(module, (torch.empty(batch, *shape),))
        # The empty table keeps composites whole, and makes operations in place ordinary ones.
        return program.run_decompositions({})


def check_program(program: Any, name: str) -> None:
    """Raise ModelError for a program that does not give each image one value: its randomness, or its ifs."""
    import torch

    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    # Networks without norms take the mean and variance of their weights by a batch norm.
    moving = _of_images(program)
    for node in calls:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and _is_drawn(node):
            raise ModelError(
                f"{name} draws random numbers when it is evaluated",
                found=_found(node),
                expected=_ALONE,
                remedy="let them be drawn only where self.training is true",
            )
        if str(node.target).removeprefix("aten.") in _BATCH_NORMS and node in moving:
            raise ModelError(
                f"{name} has a batch norm that takes mean and variance from the batch",
                found=_found(node),
                expected="running statistics: track_running_stats=True, and evaluation mode",
                remedy="train it with them, or use another norm",
            )
    for node in calls:
        if _depends_on_values(node):
            raise _data_dependent(name, _found(node))


def _of_images(program: Any) -> set[Any]:
    """Return the nodes of a program that depend on its inputs."""
    entries = set(program.graph_signature.user_inputs)
    moving: set[Any] = set()
    for node in program.graph.nodes:
        if node.name in entries or not moving.isdisjoint(node.all_input_nodes):
            moving.add(node)
    return moving


def lasting_notes(program: Any) -> list[str]:
    """Return a note where a network's forward changes its buffers: it is read as if called once."""
    changed = sorted(set(getattr(program.graph_signature, "buffers_to_mutate", {}).values()))
    if not changed:
        return []
    return [f"its forward changes {', '.join(changed[:4])}; it is read as it is at its next call"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what torch, or a module's own code, prints, logs and warns of while it is traced."""
    disabled = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _not_exported(error: BaseException, module: Any, name: str, shape: Size) -> ModelError:
    """Return the error of a module that cannot be exported: the line of the user's code, and a remedy."""
    where = line_of_user(error)
    if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
        return _data_dependent(name, where or None)
    size = "x".join(map(str, shape))
    own = _error_when_run(module, shape)
    if own is not None:
        return ModelError(
            f"{name} fails on an image of {size}: {as_line(own)}",
            found=line_of_user(own) or None,
            remedy="give the size that it reads with --input-shape (input_shape in Python), "
            "channels first, or mend its code",
        )
    return ModelError(
        f"{name} runs, but torch.export cannot follow it: {as_line(error)}",
        found=where or None,
        remedy="write this line with operations of torch, or show the part of the network before it",
    )


def _error_when_run(module: Any, shape: Size) -> BaseException | None:
    """Return the error that a copy of a module raises on a black image; None for none."""
    import torch

    try:
        with quiet(), torch.no_grad():
            copy.deepcopy(module)(torch.zeros(1, *shape))
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        return error
    return None


def _data_dependent(name: str, where: str | None) -> ModelError:
    return ModelError(
        f"{name} cannot be exported: what it does depends on the values of the image",
        found=where,
        remedy="write the condition without an if over values, or export the part in front of it",
    )


def _is_drawn(node: Any) -> bool:
    """Return whether an op that may draw random numbers does: dropout does in training alone."""
    arguments = node.target._schema.arguments
    given = {a.name: a.default_value for a in arguments if a.has_default_value()}
    given |= dict(zip((a.name for a in arguments), node.args, strict=False)) | node.kwargs
    is_training = given.get("train", given.get("training", True))
    return bool(node.users and is_training and given.get("dropout_p", 1))


def _depends_on_values(node: Any) -> bool:
    """Return whether a node's value is a number, or has a length, that is read from the image."""
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    value = node.meta.get("val")
    lengths = value.shape if hasattr(value, "shape") else [value]
    symbols = [each for each in lengths if hasattr(each, "node")]
    return any(free_unbacked_symbols(each) for each in symbols)


def _found(node: Any) -> str:
    """Return an op of a program and the line that calls it: "randn_like, net.py, line 9, in forward"."""
    op = str(node.target).removeprefix("aten.").partition(".")[0]
    where = _last_line(_LINE.findall(node.meta.get("stack_trace") or ""))
    return f"{op}, {where}" if where else op


def as_line(error: BaseException) -> str:
    """Return an error as one line: what torch says of a network, and others' with their type."""
    if isinstance(error, SystemExit):
        return "it ends the program"
    text = first_line(error)
    kind = type(error).__name__
    return text if kind in ("RuntimeError", text) else f"{kind}: {text}"


def line_of_user(error: BaseException) -> str:
    """Return the last line outside of torch that an error went through: "net.py, line 12, in forward"."""
    frames = [(f.filename, str(f.lineno), f.name) for f in traceback.extract_tb(error.__traceback__)]
    return _last_line([*frames, *_LINE.findall(str(error))])


def _last_line(frames: Sequence[tuple[str, str, str]]) -> str:
    own = [frame for frame in frames if not _is_library(frame[0])]
    if not own:
        return ""
    file, line, function = own[-1]
    return f"{Path(file).name}, line {line}" + ("" if function == "<module>" else f", in {function}")


def _is_library(file: str) -> bool:
    """Return whether a file of code is torch's, this package's or of Python itself."""
    import torch

    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
    python = str(Path(copy.__file__).parent)
    return file.startswith(ours) or (file.startswith(python) and "site-packages" not in file)


def _random_state() -> tuple[Any, ...]:
    numpy = np.random.get_state(legacy=False)
    return random.getstate(), {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}}


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
