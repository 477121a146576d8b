"""Training batches of samplers: clips with labels (AC) or f's scores (RANK)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from scslib.jobs.shard_files import Shards
from scslib.samplers.inputs import sampler_inputs
from scslib.training import distributed
from scslib.training.losses import Batch

DROPPED = 0.25  # of the modalities of a clip in joint training
UNSHARED = "audio", "heard", "iframes_kept"  # one of a clip, and not one of each picture


@dataclass(frozen=True)
class AcBatches:
    """Batches of clips drawn uniformly from all training videos. They carry their video's label, and
    are as `Sampler` sees them.

    `pictures` of each clip are drawn at random. share: this process's number, and how many there are.
    """

    features: Shards
    labels: dict[str, int]
    modalities: tuple[str, ...]
    batch: int
    pictures: int
    seed: int
    share: tuple[int, int]

    def __call__(self, step: int) -> Batch:
        videos = [v for v in self.labels if v in self.features]
        rng = np.random.default_rng([self.seed, step])
        picks = []
        for row in rng.integers(len(videos), size=self.batch):
            clips = len(self.features.get(videos[row], "times"))
            picks.append((videos[row], int(rng.integers(clips))))
        own, inputs = _own_inputs(self, picks, rng)
        return inputs | {"label": torch.tensor([self.labels[v] for v, _ in own])}


@dataclass(frozen=True)
class RankBatches:
    """Batches of `per_video` clips of each of some videos.

    They carry f's scores of their true class, `targets` (N,). See `AcBatches` for the rest.
    """

    features: Shards
    targets: dict[str, np.ndarray]
    modalities: tuple[str, ...]
    batch: int
    per_video: int
    pictures: int
    seed: int
    share: tuple[int, int]

    def __call__(self, step: int) -> Batch:
        videos = [v for v in self.targets if v in self.features]
        rng = np.random.default_rng([self.seed, step])
        picks = []
        for number in rng.choice(len(videos), size=max(1, self.batch // self.per_video)):
            known = len(self.targets[videos[number]])
            for clip in rng.choice(known, size=self.per_video, replace=known < self.per_video):
                picks.append((videos[number], int(clip)))
        own, inputs = _own_inputs(self, picks, rng, unit=self.per_video)
        return inputs | {"f": torch.tensor([float(self.targets[v][c]) for v, c in own])}


def _own_inputs(
    batches: AcBatches | RankBatches,
    picks: list[tuple[str, int]],
    rng: np.random.Generator,
    unit: int = 1,
) -> tuple[list[tuple[str, int]], Batch]:
    """This process's picks of a batch, and the inputs of these: nothing of the others is read.

    Each clip draws its pictures with a seed of its own, so that they are the same for any number of
    processes. Every clip has `pictures` rows; of one without any, all are masked. I-frames get other
    colours. In joint training some modalities of a clip do not count, so that none does all the work.
    """
    seeds, pictures = rng.integers(2**32, size=len(picks)), batches.pictures
    own, rows = distributed.own_rows(len(picks), unit, batches.share), []
    for i in own:
        drawn = np.random.default_rng(seeds[i])
        row = sampler_inputs(
            batches.features, [picks[i]], batches.modalities, pictures=pictures, rng=drawn
        )
        if "iframes" in row:
            row["iframes"] = _recoloured(row["iframes"], drawn)
        if len(batches.modalities) > 1:
            row["heard"] = _some(len(batches.modalities), drawn)
        rows.append(
            {n: t if n in UNSHARED else t.expand(1, pictures, *t.shape[2:]) for n, t in row.items()}
        )
    return [picks[i] for i in own], {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _recoloured(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A clip's pictures (1, S, 3, H, W) in other colours, the same for all of them.

    The scenes of some dozens of videos are soon known by heart by their colours.
    """
    channels = torch.from_numpy(rng.permutation(3))
    return pictures[:, :, channels] * rng.uniform(0.7, 1.3) + rng.normal(0, 0.3)


def _some(modalities: int, rng: np.random.Generator) -> torch.Tensor:
    """(1, modalities) of which at least one is true, each with a probability of 1 - DROPPED."""
    heard = rng.random(modalities) >= DROPPED
    heard[rng.integers(modalities)] = True
    return torch.from_numpy(heard[None])
