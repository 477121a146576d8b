"""A light head over time: which clips of a video are worth showing, by their embeddings."""

from __future__ import annotations

import torch
from torch import nn

CHANNELS_OF_HEAD = 64


class TemporalHead(nn.Module):
    """Three convolutions over the clips of a video (3, 3, 1 clips wide; as in Uni-AdaFocus).

    Embeddings (N, D) to one logit for each clip (N,). Between them are layer norms where Uni-AdaFocus
    has batch norms: a step sees one video.
    """

    def __init__(self, dimensions: int):
        super().__init__()
        wide = CHANNELS_OF_HEAD
        self.first = nn.Conv1d(dimensions, wide, 3, padding=1)
        self.second = nn.Conv1d(wide, wide, 3, padding=1)
        self.last = nn.Conv1d(wide, 1, 1)
        self.norms = nn.ModuleList([nn.LayerNorm(wide), nn.LayerNorm(wide)])

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        x = embeddings.T[None]
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            x = torch.relu(norm(layer(x).transpose(1, 2))).transpose(1, 2)
        return self.last(x)[0, 0]
