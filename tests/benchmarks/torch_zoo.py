"""Runs networks of timm and torchvision through the atlas, and writes a table with a row a network.

    ATLAS_SHARED=../shared python tests/benchmarks/torch_zoo.py --out torch_zoo.jsonl [--only timm:dla34]
    python tests/benchmarks/torch_zoo.py --out onnx_zoo.jsonl --onnx [--only 'torchvision:resnet18 dynamo']

For each, with random weights: how long reading takes and how much memory; every value that depends on the
image against PyTorch's, on three images; what layers are called; expanded weights of two pairs of neighbours
and receptive fields of three layers against gradients in copies that PyTorch makes; a draft build of two
neurons in three layers with ten photographs, and `check`. `--onnx` writes ten networks with both of PyTorch's
exporters, and compares with onnxruntime; the newer exporter needs the package onnxscript. What stands in the
file is not run again. `--docs` writes the table into docs/pytorch.md.
"""

from __future__ import annotations

import importlib
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from zoo_rows import MEGABYTE, Row, Zoo, build, in_own_process, notes, number, parser, problems

# Those that take little time first.
TORCHVISION = """mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 squeezenet1_0 mobilenet_v2 regnet_x_400mf
regnet_y_400mf resnet18 efficientnet_b0 googlenet alexnet resnet50 resnext50_32x4d densenet121 convnext_tiny
inception_v3 vgg11"""
TIMM = """lcnet_050 tinynet_e convnextv2_atto mobilenetv4_conv_small ghostnet_100 edgenext_xx_small
hardcorenas_a regnety_002 tf_efficientnet_lite0 rexnet_100 mobilevit_xxs levit_128s vit_tiny_patch16_224
seresnet18 skresnet18 resnest14d resnet26d poolformer_s12 ese_vovnet19b_dw repvgg_a0 nf_resnet26 selecsls42b
gcresnext26ts dla34 mixer_s32_224 swin_tiny_patch4_window7_224 cspresnet50 resnetv2_50 res2net50_26w_4s
xception41"""
# Families that are compared, and not built.
UNBUILT = """starnet_s1 repghostnet_050 shvit_s1 efficientvit_b0 mambaout_femto inception_next_atto fastvit_t8
mobileone_s0 repvit_m0_9 hgnetv2_b0 fasternet_t0 hrnet_w18_small resnext26ts legacy_seresnet18 regnetz_b16
ecaresnet26t cs3darknet_s pvt_v2_b0 rdnet_tiny focalnet_tiny_srf botnet26t_256 halonet26t coatnet_nano_cc_224
dpn48b darknet53 convmixer_1024_20_ks9_p14 nfnet_f0 inception_v4"""
BY_ONNX = """mobilenet_v3_small shufflenet_v2_x0_5 squeezenet1_0 mobilenet_v2 regnet_y_400mf resnet18
efficientnet_b0 googlenet resnet50 densenet121"""
EXPORTERS = ("dynamo", "torchscript")
# As build.py, with torchvision next to a torch that its operators do not fit.
PROGRAM = (
    sys.executable,
    "-c",
    "import sys; sys.path.insert(0, 'tests'); import torch_twin; kept = torch_twin.declare_vision_ops(); "
    "import atlas.cli; atlas.cli.main()",
)
MARKS = "<!-- networks: written by tests/benchmarks/torch_zoo.py -->", "<!-- end of networks -->"
ONNX_MARKS = "<!-- ONNX: written by tests/benchmarks/torch_zoo.py -->", "<!-- end of ONNX -->"
HEADS = (
    "network", "MB", "read, s", "read, MB", "values", "values differ by", "unknown ops", "Transposes",
    "names", "weights differ by", "over", "fields right", "build, s", "build, MB", "problems", "notes",
)  # fmt: skip
ONNX_HEADS = (
    "network and exporter", "MB", "read, s", "values", "values differ by", "Transposes", "names", "notes",
)  # fmt: skip


def networks() -> list[str]:
    """Return the networks, those that are built first."""
    built = [f"torchvision:{name}" for name in TORCHVISION.split()] + [
        f"timm:{name}" for name in TIMM.split()
    ]
    return built + [f"timm:{name}" for name in UNBUILT.split()]


def exports() -> list[str]:
    """Return the networks and exporters."""
    return [f"torchvision:{name} {exporter}" for name in BY_ONNX.split() for exporter in EXPORTERS]


def examined(name: str, known: Row, *, builds: bool = True) -> Row:
    """Return the row of a network: the comparisons in a process of their own, a build."""
    row = {"network": name, **(known or in_own_process(__file__, name))}
    if builds and not is_whole(row):
        build(row, f"{name}?weights=none", n_photographs=10, program=PROGRAM)
    return row


def is_whole(row: Row) -> bool:
    """Return whether a network is compared, and built where it is to be."""
    built = "build_s" in row or "chosen" not in row or row["network"].partition(":")[2] in UNBUILT.split()
    return bool(row) and built


def drawn(name: str) -> tuple[Any, tuple[int, int, int], Any, Any]:
    """Return a network of random weights, its size (c, h, w), and its mean and deviation of images."""
    from torch_twin import declare_vision_ops, perturbed, torch

    kept = declare_vision_ops()
    library, _, called = name.partition(":")
    package = importlib.import_module(library)
    del kept
    torch.manual_seed(0)
    if library == "timm":
        module = package.create_model(called, pretrained=False)
        settings = module.pretrained_cfg
        return perturbed(module), settings["input_size"], settings["mean"], settings["std"]
    # Their own way to draw random weights takes a minute.
    settings = {"init_weights": False} if called in ("googlenet", "inception_v3") else {}
    module = package.models.get_model(called, weights=None, **settings)
    transforms = package.models.get_model_weights(called).DEFAULT.transforms()
    side = transforms.crop_size[0]
    return perturbed(module), (3, side, side), transforms.mean, transforms.std


def compare(name: str) -> Row:
    """Return what is compared with PyTorch in this process."""
    import atlas
    from atlas.core.errors import AtlasError
    from atlas.model.reading import load  # noqa: F401  what is imported is not measured
    from torch_comparisons import attempt, fields, maps_of, names, values, weights
    from torch_copies import TorchCopy
    from torch_twin import compared, transposes

    module, size, mean, std = drawn(name)
    n_bytes = 4 * sum(parameter.numel() for parameter in module.parameters())
    row: Row = {"mb": n_bytes / MEGABYTE, "notes": []}
    start = time.monotonic()
    try:
        network = atlas.load_model(module, input_shape=size, mean=mean, std=std, name=name)
    except AtlasError as error:
        row["unknown"] = f"refused: {error}"
        return row
    row["read_s"] = time.monotonic() - start
    row["read_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    row["unknown"] = ", ".join(network.unknown_ops)
    row["transposes"] = len(transposes(network.graph_def))
    trunk = [layer for layer in network.trunk if layer.name != network.output and layer.shape]
    trunk = trunk or [layer for layer in network.layers if layer.shape]
    chosen = list({layer.name: layer for layer in (trunk[0], trunk[len(trunk) // 2], trunk[-1])}.values())
    row["chosen"] = [layer.name for layer in chosen]
    comparison = compared(module, size)
    names(row, network, module, comparison.program)
    values(row, comparison)
    copy, maps = TorchCopy(comparison.program), maps_of(comparison.reader)
    attempt(row, "weights", lambda: weights(row, network, copy, maps, (mean, std)))
    attempt(row, "fields", lambda: fields(row, network, copy, maps, chosen))
    return row


def onnx_examined(name: str, _: Row) -> Row:
    """Return the row of a network and an exporter."""
    return {"network": name, **in_own_process(__file__, name, "--onnx")}


def onnx_compare(name: str) -> Row:
    """Return what is compared with onnxruntime in this process."""
    import atlas
    from onnx_models import differences, onnx
    from torch_comparisons import names
    from torch_twin import torch, transposes

    name, exporter = name.split()
    module, size, mean, std = drawn(name)
    row: Row = {"notes": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        shapes: Row = {"dynamic_axes": {"images": {0: "n"}}}
        if exporter == "dynamo":
            shapes = {"dynamic_shapes": ({0: torch.export.Dim("n")},), "external_data": False}
        options = {"input_names": ["images"], "dynamo": exporter == "dynamo", "verbose": False}
        torch.onnx.export(module, (torch.zeros(2, *size),), str(path), **options, **shapes)
        row["mb"], start = path.stat().st_size / MEGABYTE, time.monotonic()
        network = atlas.load_model(path, mean=mean, std=std)
        row["read_s"] = time.monotonic() - start
        _, found = differences(onnx.load(str(path)))
    row["n_values"], row["values"] = len(found), max(found.values())
    row["transposes"] = len(transposes(network.graph_def))
    names(row, network, module)
    return row


def _of(row: Row, key: str) -> str:
    return "{} of {}".format(*row[key]) if row.get(key) else ""


def cells(row: Row) -> list[str]:
    """Return the cells of a row."""
    weights = row.get("weights") or []
    own = number(row, "own", " (PyTorch's own: {:.1e})")
    return [
        row["network"], number(row, "mb"), number(row, "read_s", "{:.1f}"), number(row, "read_mb"),
        number(row, "n_values"), number(row, "values", "{:.1e}") + own, row.get("unknown") or "",
        number(row, "transposes"), _of(row, "names"),
        f"{max(weights):.1g}" + " (1 pair)" * (len(weights) == 1) if weights else "",
        ", ".join(row.get("over") or []), _of(row, "fields"), number(row, "build_s"),
        number(row, "build_mb"), problems(row), notes(row),
    ]  # fmt: skip


def onnx_cells(row: Row) -> list[str]:
    """Return the cells of a row of the table of ONNX."""
    return [
        row["network"], number(row, "mb"), number(row, "read_s", "{:.1f}"), number(row, "n_values"),
        number(row, "values", "{:.1e}"), number(row, "transposes"), _of(row, "names"), notes(row),
    ]  # fmt: skip


if __name__ == "__main__":
    options = parser(__doc__, "torch_zoo.jsonl")
    options.add_argument("--onnx", action="store_true", help="by way of ONNX")
    options.add_argument("--no-builds", action="store_true", help="compare alone; a later run builds")
    given = options.parse_args()
    measure = partial(examined, builds=not given.no_builds)
    by_torch = Zoo("pytorch.md", MARKS, HEADS, networks, measure, compare, cells, is_whole)
    by_onnx = Zoo("pytorch.md", ONNX_MARKS, ONNX_HEADS, exports, onnx_examined, onnx_compare, onnx_cells)
    (by_onnx if given.onnx else by_torch).run(given)
