"""Torchvision's video networks as f: `torchvision:NAME[/WEIGHTS]`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchvision
from torch import nn
from torchvision.transforms import functional

from scslib.models.views import View, scaled_levels
from scslib.models.width import set_layout

# Each network's head, and the clips on which torchvision measured its published accuracy:
# frames, and frames a second
VIDEO_NETWORKS = {
    "mc3_18": ("fc", 16, 15.0),
    "r3d_18": ("fc", 16, 15.0),
    "r2plus1d_18": ("fc", 16, 15.0),
    "s3d": ("classifier.1", 128, 15.0),
    "mvit_v1_b": ("head.1", 16, 7.5),
    "mvit_v2_s": ("head.1", 16, 7.5),
    "swin3d_t": ("head", 32, 15.0),
    "swin3d_s": ("head", 32, 15.0),
    "swin3d_b": ("head", 32, 15.0),
}


@dataclass(frozen=True)
class TorchvisionInput(View):
    """Torchvision's preset `VideoClassification`: resize, centre crop, scale to 0..1, normalise.

    resize: (H, W), which may squeeze the frame, or (short side,). crop: (H, W) pixels.
    """

    frames: int
    frame_rate: float
    resize: tuple[int, ...]
    crop: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    clip_len: int = 0

    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        frames = self.some(clips).permute(0, 1, 4, 2, 3)
        shown = frames.shape[:2]
        frames = functional.resize(frames.flatten(0, 1), list(self.resize), antialias=False)
        frames = functional.center_crop(frames, list(self.crop))
        return frames.permute(0, 2, 3, 1).unflatten(0, shown)

    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        return scaled_levels(fitted, self.mean, self.std).contiguous(
            memory_format=torch.channels_last_3d
        )


def build_torchvision(name: str, classes: int) -> nn.Module:
    """A freshly initialised network of torchvision, with `head_name`."""
    network = torchvision.models.get_model(name, weights=None, num_classes=classes)
    network.head_name = VIDEO_NETWORKS[name][0]
    return set_layout(network, torch.channels_last_3d)


def torchvision_view(name: str) -> TorchvisionInput:
    """What the published weights of a network were made to see."""
    _, frames, frame_rate = VIDEO_NETWORKS[name]
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return TorchvisionInput(
        frames,
        frame_rate,
        resize=tuple(preset.resize_size),
        crop=tuple(preset.crop_size),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
