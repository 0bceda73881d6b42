"""What of a network is compared with PyTorch: values, names, expanded weights, receptive fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from atlas.analysis.weights import expanded_weights, outline
from atlas.core.errors import AtlasError
from atlas.model.channels_first.values import Value
from examination import operating_images
from oracles import trimmed
from torch_copies import Untwinned
from torch_runs import NORMS, name_of
from torch_twin import relative, torch, values_in_torch
from zoo_rows import Row, wrong_field

# A larger difference is compared with that of PyTorch's own float32 to its float64.
CLOSE = 1e-5
# Of pairs whose product of channels is larger than this, weights take long.
LARGE = 1 << 19
N_PAIRS, MOST_TRIES = 2, 8


def attempt(row: Row, what: str, work: Callable[[], None]) -> None:
    """Do work; note what it raises, which does not keep the rest from being compared."""
    try:
        work()
    except Exception as error:
        row["notes"].append(f"{what}: {type(error).__name__}: {str(error).splitlines()[:1]}")


def values(row: Row, comparison: Any) -> None:
    """Note the largest difference of any value, and where it is large, that of PyTorch's own rounding."""
    differences, wanted = comparison.differences, comparison.wanted
    at = max(differences, key=differences.__getitem__)
    row["n_values"], row["values"] = len(differences), differences[at]
    if differences[at] > CLOSE:
        exact = values_in_torch(comparison.program, comparison.images.double())
        own = {name: relative(wanted[name].numpy(), exact[name].numpy()) for name in differences}
        row["own"] = own[at]
        wrong = [name for name, by in differences.items() if by > max(CLOSE, 2 * own[name])]
        row["notes"] += [f"more than twice PyTorch's rounding: {', '.join(wrong[:3])}"] if wrong else []


def names(row: Row, network: Any, module: Any, program: Any = None) -> None:
    """Count the layers that have the path of a module, or a name of the program in its own forward."""
    paths = {path for path, _ in module.named_modules()}
    calls = [node for node in program.graph.nodes if node.op == "call_function"] if program else []
    paths |= {node.name for node in calls if len(node.meta.get("nn_module_stack") or {}) <= 1}
    # "conv#2" is a second call, "blocks.0/Add" a sum before the last in one forward.
    others = [layer.name for layer in network.layers if re.split("[#/]", layer.name)[0] not in paths]
    row["names"] = len(network.layers) - len(others), len(network.layers)
    row["notes"] += [f"names: {', '.join(others[:4])}"] if others else []


def maps_of(reader: Any) -> dict[str, tuple[str, tuple[int, int, int]]]:
    """Return the node of PyTorch that each tensor with positions is, and its dimensions (c, h, w)."""
    found: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for node, value in reader.values.items():
        if isinstance(value, Value) and value.rank == 4 and value.axes[0] == 0 and value.order is None:
            _, h, w, c = value.axes
            found.setdefault(value.tensor.name, (node.name, (c, h, w)))
    return found


def _kinds(copy: Any, start: str, end: str) -> set[str]:
    """Return what a way between two nodes leads over, in words."""
    kinds = set()
    for node in copy.between(copy.by_name[start], copy.by_name[end]):
        op, several = name_of(node), sum(each in copy.moving for each in node.all_input_nodes) > 1
        if op == "conv2d":
            settings = dict(enumerate(node.args))
            kinds |= {"groups"} if settings.get(6, 1) > 1 else set()
            kinds |= {"stride"} if max(settings.get(3) or [1]) > 1 else set()
        kinds |= {"max pool"} if op in ("max_pool2d", "amax") else set()
        kinds |= {"mean pool"} if op == "avg_pool2d" else set()
        kinds |= {"concat"} if op == "cat" else set()
        kinds |= {"sum"} if op == "add" and several else set()
        kinds |= {"gate"} if op == "mul" and several else set()
        kinds |= {"norm"} if op in NORMS else set()
    return kinds


def _pairs(network: Any, copy: Any, maps: Any) -> list[tuple[Any, Any, set[str]]]:
    """Return the pairs of neighbours whose layers are maps of PyTorch, with what is between them."""
    trunk = [layer for layer in network.trunk if layer.tensor in maps and layer.name != network.output]
    pairs = [(a, b) for a, b in pairwise(trunk) if a.n_channels * b.n_channels <= LARGE]
    return [(a, b, _kinds(copy, maps[a.tensor][0], maps[b.tensor][0])) for a, b in pairs]


def weights(row: Row, network: Any, copy: Any, maps: Any, scale: tuple[Any, Any]) -> None:
    """Compare the expanded weights of two pairs that lead over as much as possible."""
    mean, std = (torch.tensor(each, dtype=torch.float32).reshape(-1, 1, 1) for each in scale)
    images = (torch.from_numpy(operating_images(network)).permute(0, 3, 1, 2) - mean) / std
    pairs = _pairs(network, copy, maps)
    known: set[str] = set()
    row["weights"], row["pairs"] = [], []
    for _ in range(min(MOST_TRIES, len(pairs))):
        # First what no pair before led over, then what takes little time.
        best = max(pairs, key=lambda pair: (len(pair[2] - known), -pair[0].n_channels * pair[1].n_channels))
        pairs.remove(best)
        if len(row["weights"]) == N_PAIRS:
            break
        if (difference := _pair(row, network, copy, maps, best, images)) is not None:
            row["weights"].append(difference)
            row["pairs"].append(f"{best[0].name} to {best[1].name}: {', '.join(sorted(best[2]))}")
            known |= best[2]
    row["over"] = sorted(known)


def _pair(row: Row, network: Any, copy: Any, maps: Any, pair: Any, images: Any) -> float | None:
    """Return by how much weights differ from gradients; None where there are none, which is noted."""
    source, target, _ = pair
    try:
        window, _ = outline(network, source.name, target.name)
        # At the border of a map gradients are cut off.
        if any(n > length - 2 for n, length in zip(window, source.shape, strict=True)):
            return None
        weights = expanded_weights(network, source.name, target.name)
        channels = sorted({0, target.n_channels // 2, target.n_channels - 1})
        (start, first), (end, last) = maps[source.tensor], maps[target.tensor]
        right = trimmed(copy.slopes(start, end, channels, (first, last), images))
    except AtlasError as error:
        row["notes"].append(f"{source.name} to {target.name}: {error}")
        return None
    except Untwinned:
        row["notes"].append(
            f"{source.name} to {target.name}: not compared, the copy has no linear form of it"
        )
        return None
    found = trimmed(weights[..., channels])
    if found.shape != right.shape:
        row["notes"].append(f"{source.name} to {target.name}: window {found.shape}, not {right.shape}")
        return float("inf")
    return float(np.abs(found - right).max() / np.abs(right).max())


def fields(row: Row, network: Any, copy: Any, maps: Any, layers: list[Any]) -> None:
    """Compare the fields of layers, within the image, with what gradients reach."""
    known = {layer.name: maps[layer.tensor] for layer in layers if layer.tensor in maps}
    boxes = copy.boxes(dict(known.values())) if known else {}
    right = 0
    for layer in layers:
        wrong = "not compared, it is no map in PyTorch"
        if layer.name in known:
            wrong = wrong_field(layer, network.input_shape, boxes[known[layer.name][0]])
        right += not wrong
        row["notes"] += [f"field of {layer.name}: {wrong}"] if wrong else []
    row["fields"] = right, len(known)
