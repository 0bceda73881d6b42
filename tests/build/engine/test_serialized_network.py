"""A network as bytes: what a worker gets."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atlas.build.engine.serialized_network import serialized
from atlas.model.reading.load import load_model
from torch_twin import torch

ROOT = Path(__file__).parents[3]
_WORKER = """
import pickle, sys
sys.modules["torch"] = None  # as where it is not installed
from atlas.build.engine.serialized_network import deserialized
sent, image = pickle.load(open(sys.argv[1], "rb"))
answer = deserialized(sent).activations(image, ["2"])["2"]
pickle.dump(answer, open(sys.argv[2], "wb"))
"""


@pytest.mark.slow
def test_a_worker_needs_no_torch(tmp_path: Path) -> None:
    """A network of PyTorch answers in a process that cannot import torch, and the answer is PyTorch's."""
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)).eval()
    network = load_model(module, input_shape=(3, 12, 10))
    image = np.random.default_rng(0).random((1, 12, 10, 3), np.float32)
    (tmp_path / "sent").write_bytes(pickle.dumps((serialized(network), image)))
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "sent"), str(tmp_path / "answer")]
    subprocess.run(command, check=True, cwd=ROOT, timeout=120)
    found = pickle.loads((tmp_path / "answer").read_bytes())
    with torch.no_grad():
        right = module(torch.from_numpy(image.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, right, atol=1e-6)
