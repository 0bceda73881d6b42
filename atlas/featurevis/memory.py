"""The number of images that fit into memory, computed from the network's shapes before anything is built.

The budget is a constant, on a GPU a part of what it has, never what is free: a batch's shape may change the
last bit of a sum, and a build must give the same bytes whatever else runs on the machine.
"""

from __future__ import annotations

import ctypes
import functools
import math

from atlas.featurevis.recipe import Recipe
from atlas.featurevis.transforms import net_size
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.view import node_of
from atlas.model.network import Network

# Budget of all sessions together. An atlas of GoogLeNet must be computed within 3 GiB, of which the network,
# its graphs and the remains of other stages take 1.
CPU_BYTES = 7 << 28
# Budget on a GPU whose driver does not state its memory.
GPU_BYTES = 6 << 30
# The other half of a GPU's memory is for the network, for what convolutions need besides, and for gaps.
GPU_SHARE = 0.5
# Larger batches were not faster on two cores, and a single neuron costs as much as a whole batch.
CPU_MOST = 16
GPU_MOST = 64
# A tensor and its gradient.
COPIES = 2


def on_gpu() -> bool:
    """Return whether TensorFlow finds a GPU to work on."""
    return bool(tensorflow.config.list_physical_devices("GPU"))


def gpu_budget() -> int:
    """Return the bytes that batches may take on the GPU, in whole GiB, one at least."""
    total = gpu_memory()
    return max(1, int(GPU_SHARE * total) >> 30) << 30 if total else GPU_BYTES


@functools.cache
def gpu_memory() -> int:
    """Return all memory of the first GPU in bytes, as CUDA's driver states it; 0 where it cannot be asked.

    TensorFlow would say how much was free when it started.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    device, total = ctypes.c_int(), ctypes.c_size_t()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(total), device)
    )
    return 0 if failed else total.value


def batch_size(network: Network, tensor: str, recipe: Recipe, *, n_sessions: int) -> int:
    """Return the number of images that a session draws at a time: as many as fit, at least one."""
    budget, most = (gpu_budget(), GPU_MOST) if on_gpu() else (CPU_BYTES, CPU_MOST)
    return max(1, min(most, budget // n_sessions // image_bytes(network, tensor, recipe)))


def image_bytes(network: Network, tensor: str, recipe: Recipe) -> int:
    """Return the memory in bytes that one image takes for a pass to a tensor and back, in float32.

    An upper bound: for the largest transformed input and the whole map of every tensor.
    """
    area = math.prod(net_size(recipe.drawn, 1.1)) / math.prod(network.input_shape[:2])
    needed = network.view.ancestors(tensor) | {node_of(network.input_tensor)}
    values = 0.0
    for name in needed & network.shapes.keys():
        shape = [int(n or 0) for n in network.shapes[name][1:]]
        values += math.prod(shape) * (area if len(shape) == 3 else 1)
    return int(4 * COPIES * values) + 1
