"""Training the clip classifier f on decoded clips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scslib.models.classifiers import ClassifierInput
from scslib.shards import Shards
from scslib.training.loop import Batch, Schedule, fit


def classifier_batches(
    clips: Shards, labels: dict[str, int], view: ClassifierInput, batch: int, seed: int
) -> Iterator[Batch]:
    """Endless batches for f: decoded clips of the training videos, cut at a random place, recoloured.

    No mirroring: it would turn one movement into another.
    """
    rng = np.random.default_rng(seed)
    pool = [(v, i) for v in labels if v in clips for i in range(len(clips.get(v, "start_s")))]
    while True:
        order = rng.permutation(len(pool))
        for start in range(0, max(1, len(order) - batch + 1), batch):
            rows = [pool[i] for i in order[start : start + batch]]
            cut = [_random_crop(clips.get(v, "clips", slice(i, i + 1)), view.crop, rng) for v, i in rows]
            target = torch.tensor([labels[v] for v, _ in rows])
            seen = recolour(view.prepare(torch.from_numpy(np.concatenate(cut))), rng)
            yield {"clips": seen, "label": target}


def _random_crop(clip: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The same random square of all pictures of a clip (1, T, H, W, 3)."""
    top, left = (int(rng.integers(side - size + 1)) for side in clip.shape[2:4])
    return clip[:, :, top : top + size, left : left + size]


def recolour(clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Give each clip (B, 3, T, H, W) other colours: channels exchanged, contrast and brightness changed.

    A few hundred training scenes are soon known by heart by their colours; this is what keeps a small
    f looking at the movement.
    """
    count = len(clips)
    channels = torch.from_numpy(np.stack([rng.permutation(3) for _ in range(count)]))
    clips = clips[torch.arange(count)[:, None], channels]
    shape = (count, 3, 1, 1, 1)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, shape)).float()
    shift = torch.from_numpy(rng.normal(0, 0.3, shape)).float()
    return (clips * gain + shift).contiguous(memory_format=torch.channels_last_3d)


def classifier_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    return F.cross_entropy(network(batch["clips"]), batch["label"])


def train_classifier(
    network: nn.Module,
    clips: Shards,
    labels: dict[str, int],
    view: ClassifierInput,
    schedule: Schedule,
    *,
    seed: int,
) -> np.ndarray:
    """Train f on clips that carry their video's label; returns the losses."""
    batches = classifier_batches(clips, labels, view, schedule.batch, seed)
    return fit(network, lambda _: next(batches), classifier_loss, schedule, title="training f")
