"""I3D-RGB (Carreira and Zisserman, CVPR 2017): Inception-v1 inflated in time.

Maps (B, 3, T, H, W) of any size to logits (B, classes); `logits.conv3d` is the head. With width = 64 the
keys are those of pytorch-i3d. The networks that others call I3D with a ResNet-50 are something else.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from scslib.models.width import FULL_WIDTH, scaled_width, set_layout

Triple = tuple[int, int, int]


class Pool(NamedTuple):
    """The window of a max-pooling, and its steps."""

    kernel: Triple
    stride: Triple


# Mixed: channels of the branches 1, 1 -> 3, 1 -> 3 and pool -> 1
LAYERS: dict[str, Pool | tuple[int, ...]] = {
    "MaxPool3d_3a_3x3": Pool((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": Pool((3, 3, 3), (2, 2, 2)),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": Pool((2, 2, 2), (2, 2, 2)),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def i3d(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """Inception-v1 in 3D; the logits of all places in time are averaged."""
    first, second = scaled_width(64, width), scaled_width(192, width)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        Conv3d_1a_7x7=Unit(3, first, (7, 7, 7), (2, 2, 2)),
        MaxPool3d_2a_3x3=SamePool((1, 3, 3), (1, 2, 2)),
        Conv3d_2b_1x1=Unit(first, first),
        Conv3d_2c_3x3=Unit(first, second, (3, 3, 3)),
    )
    seen = second
    for name, settings in LAYERS.items():
        if isinstance(settings, Pool):
            layers[name] = SamePool(settings.kernel, settings.stride)
        else:
            layers[name] = mixed = Inception(seen, [scaled_width(c, width) for c in settings])
            seen = mixed.out_channels
    layers["average"] = AveragePlaces()
    layers["dropout"] = nn.Dropout(0.5)
    head = OrderedDict(conv3d=nn.Conv3d(seen, classes, 1), flat=nn.Flatten())
    layers["logits"] = nn.Sequential(head)
    return set_layout(nn.Sequential(layers), torch.channels_last_3d)


def pad_same(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """TensorFlow's SAME: zeros around (..., T, H, W), so that ceil(size / stride) outputs come out.

    size 8, kernel 3, stride 2:  xxxxxxxx0     the odd zero lies behind, not in front
    """
    pads = []
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        missing = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [missing // 2, missing - missing // 2]
    return F.pad(x, pads) if any(pads) else x


class Unit(nn.Module):
    """Convolution with SAME padding, batch normalisation with eps 1e-3, ReLU."""

    def __init__(self, seen: int, channels: int, kernel=(1, 1, 1), stride=(1, 1, 1)):
        super().__init__()
        self.conv3d = nn.Conv3d(seen, channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(channels, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = pad_same(x, self.conv3d.kernel_size, self.conv3d.stride)
        return F.relu(self.bn(self.conv3d(padded)), inplace=True)


class SamePool(nn.MaxPool3d):
    """Max-pooling with SAME padding. Zeros will do for it: what comes in has gone through a ReLU."""

    kernel_size: Triple
    stride: Triple

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_same(x, self.kernel_size, self.stride))


class Inception(nn.Module):
    """Four branches side by side; `channels` as in `LAYERS`."""

    def __init__(self, seen: int, channels: list[int]):
        super().__init__()
        one, before3, three, before5, five, pooled = channels
        self.b0 = Unit(seen, one)
        self.b1a, self.b1b = Unit(seen, before3), Unit(before3, three, (3, 3, 3))
        self.b2a, self.b2b = Unit(seen, before5), Unit(before5, five, (3, 3, 3))
        self.b3a, self.b3b = SamePool((3, 3, 3), (1, 1, 1)), Unit(seen, pooled)
        self.out_channels = one + three + five + pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, 1)


class AveragePlaces(nn.Module):
    """An average of features over their places. It takes (B, C, T, H, W) to (B, C, 1, 1, 1): means over
    windows of 2 x 7 x 7, then over the windows.

    The published network applies its head to every window and averages the logits in time. The head is
    linear, so it may as well come last. Smaller inputs have smaller windows.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        window = [min(size, most) for size, most in zip(x.shape[2:], (2, 7, 7), strict=True)]
        return F.avg_pool3d(x, window, stride=1).mean((2, 3, 4), keepdim=True)
