"""A small PyTorch network for the demo's drawings, made of what people's networks are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZE = (3, 96, 96)
# ImageNet's, as most people have them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def conv_bn_relu(before: int, width: int, size: int, **more: int) -> nn.Sequential:
    """Return a convolution that keeps sizes but for its stride, batch norm and ReLU."""
    conv = nn.Conv2d(before, width, size, padding=size // 2, bias=False, **more)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class Block(nn.Module):
    """A residual block that halves the map; its second convolution is grouped."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride=2), nn.BatchNorm2d(width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        """Return the block's output [n, width, h / 2, w / 2]."""
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(inner + self.downsample(x))


class Branches(nn.Module):
    """Two branches side by side: single positions, and a depthwise convolution of 5 x 5."""

    def __init__(self, before: int, point: int, wide: int) -> None:
        super().__init__()
        self.point = conv_bn_relu(before, point, 1)
        self.wide = nn.Sequential(*conv_bn_relu(before, wide, 1), *conv_bn_relu(wide, wide, 5, groups=wide))

    def forward(self, x: Any) -> Any:
        """Return both branches' channels, [n, point + wide, h, w]."""
        return torch.cat([self.point(x), self.wide(x)], 1)


class DrawingNet(nn.Module):
    """A stem, a residual block, branches, another block, and a linear classifier."""

    def __init__(self, classes: int = 32) -> None:
        super().__init__()
        self.stem = conv_bn_relu(3, 16, 5, stride=2)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = nn.Sequential(Block(16, 32))
        self.mixed = Branches(32, 20, 28)
        self.layer2 = nn.Sequential(Block(48, 64))
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Any) -> Any:
        """Return the logits [n, class] of images [n, 3, h, w]."""
        x = self.layer2(self.mixed(self.layer1(self.pool(self.stem(x)))))
        return self.fc(x.mean((2, 3)))
