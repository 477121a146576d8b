"""Train the networks that join the features of K clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scslib.jobs.shard_files import Shards
from scslib.training.loop import fit
from scslib.training.losses import Batch
from scslib.training.schedule import Schedule


@dataclass(frozen=True)
class VideoBatches:
    """Batches of videos drawn with replacement, with K clips of each.

    The clips are drawn at random, in order of time. Step n gives the same batch whenever it is asked
    for: `clips` (B, K, D) and `label` (B,).
    """

    features: Shards
    labels: dict[str, int]
    videos: list[str]
    batch: int
    k: int
    seed: int

    def __call__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        chosen = [self.videos[r] for r in rng.integers(len(self.videos), size=self.batch)]
        clips = np.stack([_in_time(self.features.get(v, "features"), self.k, rng) for v in chosen])
        target = torch.tensor([self.labels[v] for v in chosen])
        return {"clips": torch.from_numpy(clips).float(), "label": target}


def _in_time(clips: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """K of the N clips (N, D) at random, in order of time; where N < K, all of them before any again."""
    return clips[np.sort(np.resize(rng.permutation(len(clips)), k))]


def video_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the videos' labels."""
    return F.cross_entropy(network(batch["clips"]), batch["label"])


def train_aggregator(
    network: nn.Module,
    features: Shards,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    k: int,
    seed: int,
    resume: Path | None = None,
) -> np.ndarray:
    """Train one of `models.aggregators` on f's `features` (N, D) per video; returns the losses.

    A video of fewer than K clips shows all that it has, and some of them again. See `loop.fit` for
    `resume`.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    videos = [v for v in labels if v in features]
    if not videos:
        raise ValueError(f"features must have one of the {len(labels)} videos of labels, not none")
    return fit(
        network,
        VideoBatches(features, labels, videos, schedule.batch, k, seed),
        video_loss,
        schedule,
        title=type(network).__name__,
        about={"seed": seed, "labels": labels, "k": k},
        stands_on={"features": features},
        resume=resume,
    ).losses
