"""MC3-18 and R3D-18 (Tran et al., CVPR 2018): torchvision's networks, at any width.

Both map (B, 3, T, H, W) to logits (B, classes); `fc` is the head. With width = 64 they are
torchvision's own.
"""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from scslib.models.width import FULL_WIDTH, set_layout, set_width


def mc3_18(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """3D convolutions in the first block, 2D ones after it: the paper's f on miniSports."""
    return at_width(torchvision.models.video.mc3_18(weights=None, num_classes=classes), width)


def r3d_18(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """3D convolutions in all blocks. Its keys are those of MC3-18; only shapes tell them apart."""
    return at_width(torchvision.models.video.r3d_18(weights=None, num_classes=classes), width)


def at_width(network: nn.Module, width: int) -> nn.Module:
    """`network` with width/64 of its channels, in the memory layout that suits 3D convolutions."""
    if width != FULL_WIDTH:
        set_width(network, width)
    return set_layout(network, torch.channels_last_3d)


def set_eps(network: nn.Module, eps: float | None) -> nn.Module:
    """`network` with this eps in every batch normalisation (None: as it is). Caffe2 trains with 1e-3."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d) and eps is not None:
            layer.eps = eps
    return network
