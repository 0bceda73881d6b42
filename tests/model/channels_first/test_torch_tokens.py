"""Networks of PyTorch with attention: tokens are positions, and the batch stays what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import atlas
from atlas.core.errors import LinearizeError
from torch_twin import perturbed, torch

nn = torch.nn


class Subsampled(nn.Module):  # type: ignore[misc, name-defined]
    """Tokens, then attention of every second one to all, as LeViT has it, then a block and a mean."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.conv, self.fc, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.Linear(6, 6), nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        """Return the classes of images."""
        x = self.conv(x)
        few = x[:, :, ::2, ::2].flatten(2).transpose(1, 2)
        all_tokens = x.flatten(2).transpose(1, 2)
        x = (few @ all_tokens.transpose(1, 2)).softmax(-1) @ all_tokens
        x = x + self.fc(x)
        return self.head(x.mean(1))


def test_tokens_behind_attention_are_positions_of_their_map() -> None:
    """Each position of the last map has the weights of the head, over the number of positions."""
    module = perturbed(Subsampled())
    network = atlas.load_model(module, input_shape=(3, 16, 16), mean=0.0, std=1.0)
    layer = network.layers[-2]
    assert (layer.shape, layer.receptive_field) == ((4, 4), None)
    weights = atlas.expanded_weights(network, layer.name, "head")
    wanted = module.head.weight.detach().numpy().T / 16
    np.testing.assert_allclose(weights, np.broadcast_to(wanted, (4, 4, 6, 5)), atol=1e-7)


class Folded(nn.Module):  # type: ignore[misc, name-defined]
    """Positions of a patch in the batch, as MobileViT has them, a norm there, and back."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.conv, self.norm, self.end = nn.Conv2d(3, 6, 1), nn.LayerNorm(6), nn.Conv2d(6, 4, 1)
        self.after = nn.Conv2d(4, 2, 3)

    def forward(self, x: Any) -> Any:
        """Return a map."""
        x = self.conv(x)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 2, 4, 1).reshape(4 * n, h * w // 4, c)
        x = self.norm(x).reshape(n, 2, 2, h // 2, w // 2, c).permute(0, 5, 3, 1, 4, 2).reshape(n, c, h, w)
        return self.after(self.end(x))


def test_what_is_held_for_each_position_of_the_batch_has_no_twin() -> None:
    """The deviation differs between positions that were moved into the batch: refused by name."""
    network = atlas.load_model(perturbed(Folded()), input_shape=(3, 8, 8), mean=0.0, std=1.0)
    with pytest.raises(LinearizeError, match=r"norm.*positions are part of its batch.*choose two layers"):
        atlas.expanded_weights(network, "conv", "end")
    assert atlas.expanded_weights(network, "end", "after").shape == (3, 3, 4, 2)


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_of_pytorchs_own_module_is_read(batch_first: bool) -> None:
    """Its reshapes begin with tokens, and the batch is the open length: no image is taken for another."""

    class Attended(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 8, 8)
            layer = nn.TransformerEncoderLayer(16, 2, 16, batch_first=batch_first, dropout=0.0)
            self.layer, self.head = layer, nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            x = self.patches(x).flatten(2)
            x = self.layer(x.permute(0, 2, 1) if batch_first else x.permute(2, 0, 1))
            return self.head(x.mean(1 if batch_first else 0))

    module = perturbed(Attended())
    network = atlas.load_model(module, input_shape=(3, 32, 32), mean=0.0, std=1.0)
    images = torch.rand(3, 3, 32, 32)
    found = network.activations(images.permute(0, 2, 3, 1).numpy(), "head")["head"]
    np.testing.assert_allclose(found, module(images).detach().numpy(), atol=1e-5)
