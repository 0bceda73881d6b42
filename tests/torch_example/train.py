"""Train the example network on the demo's drawings: a few minutes on two cores.

`python tests/torch_example/train.py` writes weights.safetensors beside this file; `--keras FILE` writes the
same weights as a Keras model too, without training where there is a file of weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from network import MEAN, STD, DrawingNet
from safetensors.torch import load_file, save_file

from atlas.model.demo.drawings import drawings

WEIGHTS = Path(__file__).with_name("weights.safetensors")
# Held-out drawings come from another seed, so that they share none with training.
SEED, HELD_OUT_SEED = 1, 1_000_001
DRAWINGS, HELD_OUT_DRAWINGS = 10_000, 1_600
EPOCHS, BATCH = 12, 64
LEARNING_RATE, WEIGHT_DECAY = 4e-3, 0.15


def main() -> None:
    """Train and write; the command line of this script."""
    parser = argparse.ArgumentParser(description="Train the example network on the demo's drawings.")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file of weights (%(default)s)")
    parser.add_argument("--keras", type=Path, help="write the weights in --out as a Keras model, and stop")
    chosen = parser.parse_args()
    if chosen.keras is None:
        save_file(trained().state_dict(), chosen.out)
        return
    from keras_model import keras_model

    state = {name: value.numpy() for name, value in load_file(chosen.out).items()}
    keras_model(state).save(chosen.keras)


def trained() -> DrawingNet:
    """Return a network that was trained on drawings, in evaluation mode; prints how it went."""
    torch.manual_seed(SEED)
    # The maps are small, and the order of sums does not depend on the number of cores.
    torch.set_num_threads(1)
    images, labels = tensors(DRAWINGS, SEED)
    module = DrawingNet().train()
    # Kernels alone decay: of batch norms and biases there is no scale to keep small.
    kernels = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim == 1]
    groups = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_steps = EPOCHS * (DRAWINGS // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    started = time.monotonic()
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(DRAWINGS).split(BATCH):
            loss = torch.nn.functional.cross_entropy(module(standardized(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += len(batch) * float(loss.detach())
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / DRAWINGS:.4f}", flush=True)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    module.eval()
    print(f"held-out accuracy {accuracy(module, *tensors(HELD_OUT_DRAWINGS, HELD_OUT_SEED)):.2%}")
    return module


def tensors(count: int, seed: int) -> tuple[Any, Any]:
    """Return drawings, uint8 [n, 3, h, w], and the numbers of their classes, int64 [n]."""
    images, labels = drawings(count, seed)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), torch.from_numpy(
        labels
    ).long()


def standardized(images: Any) -> Any:
    """Return images, uint8 [n, 3, h, w], as the network reads them."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images / 255 - mean) / std


@torch.no_grad()
def accuracy(module: DrawingNet, images: Any, labels: Any) -> float:
    """Return the part of images whose class the network names."""
    answers = [module(standardized(batch)).argmax(1) for batch in images.split(200)]
    return float((torch.cat(answers) == labels).float().mean())


if __name__ == "__main__":
    main()
