"""Lucent's render_vis and this engine on the same neurons of a PyTorch network, alternating; prints JSON.

    pip install --no-deps torch-lucent 'kornia<=0.4.1'
    python tests/benchmarks/torch_featurevis.py --model resnet18 --layer layer2.1 --neurons 32 --alone 4

`model` is one of torchvision's, with random weights: a test of the optimizers alone. Lucent draws an image
at a time, 512 steps, with its usual transforms, at the same number of pixels; left alone (`--enlarge`) it
enlarges each image to 224, which takes longer. It draws and times as many neurons as `--alone` says. The
engine's time is taken as in featurevis.py. `objective_ratio` is the lower of two, ours over Lucent's: the
mean activation of the finished images as they are, and under Lucent's random transforms. Both are
PyTorch's own numbers.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.featurevis import N_TRANSFORMS, ROUNDS, Timed, draw, groups, mean, prepare, save

from atlas.featurevis.recipe import NOTEBOOK_SIZES, PRESETS, Recipe, picture_size
from atlas.featurevis.render import Renderer
from atlas.model.reading.load import load_model
from torch_twin import declare_vision_ops, torch

VISION = declare_vision_ops()
# The margin that Lucent's first transform adds on each side.
MARGIN = 12


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--layer", default="layer2.1")
    parser.add_argument("--neurons", type=int, default=32)
    parser.add_argument("--alone", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="standard")
    parser.add_argument("--enlarge", action="store_true", help="leave Lucent its enlargement to 224 pixels")
    parser.add_argument("--out", type=Path, help="a folder for pictures side by side")
    print(json.dumps(compare(parser.parse_args())), flush=True)


def compare(args: argparse.Namespace) -> dict[str, str | float]:
    """Draw the neurons both ways, alternating, and return the figures."""
    torch.manual_seed(args.seed)
    module = importlib.import_module("torchvision").models.get_model(args.model, weights=None).eval()
    network = load_model(
        module, input_shape=(3, 224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    layer = network.layer(args.layer)
    size = picture_size(layer, network.input_shape, None, NOTEBOOK_SIZES)[0]
    recipe = Recipe(preset=PRESETS[args.preset], size=size, seed=args.seed)
    neurons = sorted(np.random.default_rng(args.seed).choice(layer.n_channels, args.neurons, False).tolist())
    alone = neurons[:: max(len(neurons) // args.alone, 1)][: args.alone]
    lucent, ours = Timed(), Timed()
    with Renderer(network, layer, recipe) as renderer:
        todo = list(groups(renderer, neurons))
        setup = prepare(renderer, todo)
        for i in range(ROUNDS):
            for neuron in alone[i::ROUNDS]:
                draw_by_lucent(lucent, module, args, recipe, neuron)
            for group in todo[i::ROUNDS]:
                draw(ours, renderer, group, neurons)
    images = {neuron: ours.images[neuron] for neuron in alone}
    if args.out:
        save(args.out / f"{args.model}_{layer.slug}_{args.seed}.png", lucent.images, images)
    plain, robust = quality(module, args.layer, lucent.images, images)
    engine = mean(ours.seconds) + setup / layer.n_channels
    return {
        "model": args.model,
        "layer": layer.name,
        "size_px": recipe.size[0],
        "neurons": len(neurons),
        "timed": len(lucent.seconds),
        "preset": recipe.preset.name,
        "n_steps": recipe.preset.n_steps,
        "precision": renderer.recipe.precision,
        "lucent_seconds": round(mean(lucent.seconds), 4),
        "engine_seconds": round(engine, 4),
        "setup_seconds": round(setup, 2),
        "speed_ratio": round(mean(lucent.seconds) / engine, 2),
        "plain_ratio": round(plain, 4),
        "robust_ratio": round(robust, 4),
        "objective_ratio": round(min(plain, robust), 4),
    }


def draw_by_lucent(into: Timed, module: Any, args: argparse.Namespace, recipe: Recipe, neuron: int) -> None:
    """Draw and time a neuron with one call of Lucent's own render_vis."""
    render, objectives, param = (
        importlib.import_module(f"lucent.optvis.{name}") for name in ("render", "objectives", "param")
    )
    start = time.perf_counter()
    (found,) = render.render_vis(
        module,
        objectives.neuron(args.layer.replace(".", "_"), neuron),
        lambda: param.image(*recipe.size),
        fixed_image_size=None if args.enlarge else recipe.size[0] + 2 * MARGIN,
        progress=False,
        show_image=False,
    )
    into.images[neuron], into.seconds[neuron] = found[0], time.perf_counter() - start


def quality(module: Any, layer: str, lucent: dict[int, Any], ours: dict[int, Any]) -> tuple[float, float]:
    """Return (plain, robust): our mean activation over Lucent's, without and with random transforms."""
    transform = importlib.import_module("lucent.optvis.transform")
    neurons, found = sorted(lucent), []
    hook = module.get_submodule(layer).register_forward_hook(lambda *call: found.append(call[2]))

    def centres(images: Any) -> Any:
        module(transform.normalize()(images))
        h, w = found[-1].shape[2:]
        return found.pop()[torch.arange(2 * len(neurons)), neurons * 2, h // 2, w // 2].numpy()

    both = np.stack([images[n] for images in (lucent, ours) for n in neurons]).astype(np.float32)
    images = torch.from_numpy(both.transpose(0, 3, 1, 2))
    turned = transform.compose(transform.standard_transforms)
    with torch.no_grad():
        values = [centres(images), np.mean([centres(turned(images)) for _ in range(N_TRANSFORMS)], 0)]
    hook.remove()
    half = len(neurons)
    return tuple(float(v[half:].mean() / v[:half].mean()) for v in values)  # type: ignore[return-value]


if __name__ == "__main__":
    main()
