"""Networks that join the features of K clips into one label (slides).

Every aggregator maps f's pooled features of K clips of each video, (B, K, D) in order of time, to
logits (B, C). K may differ from call to call. They were proposed for networks that are trained as a
whole; here f stays as it is, and only what comes after its features learns. Features are shifted and
scaled to mean 0 and variance 1 over the training clips first: as f leaves them, they hardly differ.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn


class Aggregator(nn.Module):
    """What all share: the features of (B, K, D), each with mean 0 and variance 1 in training."""

    def __init__(self, features: int):
        super().__init__()
        # eps is large for f's sake: a feature that never fires in training may do so later
        self.norm = nn.BatchNorm1d(features, eps=1e-3, momentum=None, affine=False)

    def standard(self, clips: torch.Tensor) -> torch.Tensor:
        if clips.ndim != 3 or not clips.shape[1]:
            raise ValueError(f"clips must be (B, K, D) with K > 0, not {tuple(clips.shape)}")
        return self.norm(clips.flatten(0, 1)).view(clips.shape)


class LstmAverage(Aggregator):
    """LRCN (Donahue et al., CVPR 2015): an LSTM reads the clips, every step predicts, the mean counts.

    The mean is over the steps' probabilities, so the logits are its logarithm. The order matters.
    """

    def __init__(self, features: int, classes: int):
        super().__init__(features)
        self.lstm = nn.LSTM(features, features, batch_first=True)
        self.head = nn.Linear(features, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        steps = self.head(self.lstm(self.standard(clips))[0]).log_softmax(2)
        return steps.logsumexp(1) - math.log(clips.shape[1])


class ConvPooling(Aggregator):
    """Conv pooling (Ng et al., CVPR 2015): each feature's maximum over time, then fully connected.

    What one clip shows is seen, however many others do not show it; when is forgotten.
    """

    def __init__(self, features: int, classes: int):
        super().__init__(features)
        self.head = nn.Sequential(
            nn.Linear(features, features), nn.ReLU(inplace=True), nn.Linear(features, classes)
        )

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.standard(clips).amax(1))


class SegmentConsensus(Aggregator):
    """TSN (Wang et al., ECCV 2016): the mean of the segments' scores before the softmax.

    The loss is taken on the consensus, so a clip need not know the class as long as the video does.
    """

    def __init__(self, features: int, classes: int):
        super().__init__(features)
        self.head = nn.Linear(features, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.standard(clips)).mean(1)


AGGREGATORS = {"LSTM": LstmAverage, "conv pooling": ConvPooling, "TSN": SegmentConsensus}


def build_aggregator(name: str, features: int, classes: int) -> Aggregator:
    """A freshly initialised aggregator by name. Raises `ValueError` for a name that is not known."""
    if name not in AGGREGATORS:
        raise ValueError(f"aggregator ({name!r}) must be one of {sorted(AGGREGATORS)}")
    return AGGREGATORS[name](features, classes)


@torch.inference_mode()
def aggregate(network: Aggregator, features: np.ndarray) -> np.ndarray:
    """Class probabilities (C,) float32 of one video. They are of its clips (K, D), in order of time."""
    device = next(network.parameters()).device
    clips = torch.from_numpy(np.asarray(features, np.float32)).to(device)
    return network(clips[None])[0].softmax(0).cpu().numpy()
