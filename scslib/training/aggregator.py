"""Training the networks that join the features of K clips (models.aggregators)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from scslib.shards import Shards
from scslib.training.classifier import classifier_loss
from scslib.training.loop import Schedule, fit


def train_aggregator(
    network: nn.Module,
    features: Shards,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    k: int,
    seed: int,
) -> np.ndarray:
    """Train one of `models.aggregators` on f's `features` (N, D) per video; returns the losses.

    A batch is `schedule.batch` videos drawn with replacement, and of each K clips at random, in order
    of time. A video of fewer than K shows all that it has, and some of them again.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    rng = np.random.default_rng(seed)
    videos = [v for v in labels if v in features]
    if not videos:
        raise ValueError(f"features must have one of the {len(labels)} videos of labels, not none")

    def batches():
        while True:
            chosen = [videos[r] for r in rng.integers(len(videos), size=schedule.batch)]
            clips = np.stack([_in_time(features.get(v, "features"), k, rng) for v in chosen])
            target = torch.tensor([labels[v] for v in chosen])
            yield {"clips": torch.from_numpy(clips).float(), "label": target}

    title, drawn = type(network).__name__, batches()
    return fit(network, lambda _: next(drawn), classifier_loss, schedule, title=title)


def _in_time(clips: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """K of the N clips (N, D) at random, in order of time; where N < K, all of them before any again."""
    return clips[np.sort(np.resize(rng.permutation(len(clips)), k))]
