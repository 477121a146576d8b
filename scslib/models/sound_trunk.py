"""The network of the sound: a VGG of 18 layers on log-mel energy (sec. 3.2)."""

from __future__ import annotations

import torch
from torch import nn

from scslib.models.parts import in_parts
from scslib.models.width import FULL_WIDTH

VGG_LAYERS = (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4)  # 0: pooling


class Pooling(nn.MaxPool2d):
    """The maximum of squares of 2 x 2, to the bit; without gradients an eighth of PyTorch's time.

    On processors PyTorch's is that slow with channels first, which is how narrow networks lie.
    """

    def __init__(self):
        super().__init__(2)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.requires_grad:
            return super().forward(input)
        height, width = (side // 2 * 2 for side in input.shape[-2:])
        rows = torch.maximum(input[..., 0:height:2, :], input[..., 1:height:2, :])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class SoundTrunk(nn.Module):
    """A VGG of 18 layers (16 convolutions, 2 linear) on (B, 1, 200, 40); its last layer is the head.

    Gives features (B, 8 * width).
    """

    def __init__(self, width: int = FULL_WIDTH):
        super().__init__()
        layers: list[nn.Module] = []
        seen = 1
        for step in VGG_LAYERS:
            if not step:
                layers.append(Pooling())
                continue
            channels = max(1, step * width // FULL_WIDTH)
            layers += [
                nn.Conv2d(seen, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
            seen = channels
        self.network = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.embed = nn.Sequential(nn.Linear(seen, seen), nn.ReLU(inplace=True))
        self.features, self.per_pixel = seen, max(1, width)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        heard = in_parts(self.network, pictures, self.per_pixel, training=self.training)
        return self.embed(heard)
