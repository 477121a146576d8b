"""The clip classifier f: the costly network that should see only a few clips (paper, sec. 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchvision
from torch import nn

from scslib.models.width import FULL_WIDTH, set_width


@dataclass(frozen=True)
class ClassifierInput:
    """What a classifier sees: `frames` pictures, their short side scaled to `short_side` pixels, the
    `crop` x `crop` pixels in the middle, in 0..1, minus `mean`, divided by `std` (RGB).

    The defaults are torchvision's for MC3-18 and R(2+1)D-18 at full size.
    """

    frames: int = 16
    short_side: int = 128
    crop: int = 112
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)

    def __post_init__(self):
        if not 0 < self.crop <= self.short_side:
            raise ValueError(f"crop ({self.crop}) must be in 1..short_side ({self.short_side})")

    def prepare(self, clips: torch.Tensor) -> torch.Tensor:
        """uint8 (B, T, H, W, 3) to normalised float32 (B, 3, T, crop, crop), cut from the middle."""
        top, left = ((side - self.crop) // 2 for side in clips.shape[2:4])
        clips = clips[:, :, top : top + self.crop, left : left + self.crop]
        clips = clips.permute(0, 4, 1, 2, 3).to(torch.float32).div_(255)
        mean, std = (
            torch.tensor(v, device=clips.device).view(3, 1, 1, 1) for v in (self.mean, self.std)
        )
        return ((clips - mean) / std).contiguous(memory_format=torch.channels_last_3d)


def mc3_18(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """MC3-18 (Tran et al., CVPR 2018): 3D convolutions in the first block, 2D ones after it.

    Maps (B, 3, T, H, W) to logits (B, classes). With width = 64 it is torchvision's network.
    """
    network = torchvision.models.video.mc3_18(weights=None, num_classes=classes)
    if width != FULL_WIDTH:
        set_width(network, width)
    return network.to(memory_format=torch.channels_last_3d)


CLASSIFIERS = {"mc3_18": mc3_18}


def build_classifier(architecture: str, classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """A freshly initialised classifier by name. Raises `ValueError` for a name that is not known."""
    if architecture not in CLASSIFIERS:
        raise ValueError(f"architecture ({architecture!r}) must be one of {sorted(CLASSIFIERS)}")
    return CLASSIFIERS[architecture](classes, width)
